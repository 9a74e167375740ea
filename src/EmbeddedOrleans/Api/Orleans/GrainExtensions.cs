using Krewe.EmbeddedOrleans;
using Microsoft.Extensions.DependencyInjection;
using Orleans.Runtime;

namespace Orleans;

/// <summary>Identity of grains and of references to them.</summary>
public static class GrainExtensions
{
    /// <summary>A reference to this grain, to hand out in place of <c>this</c>.</summary>
    public static TGrainInterface AsReference<TGrainInterface>(this IAddressable grain) => grain switch
    {
        GrainProxy proxy => (TGrainInterface)(object)proxy.Cast(typeof(TGrainInterface)),
        IGrainBase instance => (TGrainInterface)(object)instance.GrainContext.ActivationServices
            .GetRequiredService<EmbeddedGrainFactory>()
            .ReferenceTo(typeof(TGrainInterface), instance.GrainContext.GrainId),
        _ => throw NotAGrain(grain),
    };

    public static GrainId GetGrainId(this IAddressable grain) => grain switch
    {
        GrainProxy proxy => proxy.Id,
        IGrainBase instance => instance.GrainContext.GrainId,
        _ => throw NotAGrain(grain),
    };

    public static string GetPrimaryKeyString(this IAddressable grain) => grain.GetGrainId().Key.ToString()!;

    private static ArgumentException NotAGrain(IAddressable grain) => new(
        $"{grain.GetType().Name} is neither a grain nor a reference to one; for an observer pass what "
        + "CreateObjectReference returned.", nameof(grain));
}
