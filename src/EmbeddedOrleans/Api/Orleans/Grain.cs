using System.Diagnostics.CodeAnalysis;
using Krewe.EmbeddedOrleans;
using Microsoft.Extensions.DependencyInjection;
using Orleans.Runtime;

namespace Orleans;

/// <summary>Base of grain classes. An instance belongs to one activation and runs one turn at a time.</summary>
[SuppressMessage("Naming", "CA1725", Justification = "Orleans names these parameters so; callers may name them too.")]
public abstract class Grain : IGrainBase, IAddressable
{
    private readonly IGrainContext? _context;

    protected Grain() => _context = CallFrame.Current?.Work?.Gate?.Owner as IGrainContext;

    public IGrainContext GrainContext => _context ?? throw new InvalidOperationException(
        $"{GetType().Name} was not created by a grain host: get it from IGrainFactory.GetGrain.");

    /// <summary>The grain's identity as text.</summary>
    public string IdentityString => GrainContext.GrainId.ToString();

    protected IGrainFactory GrainFactory => ServiceProvider.GetRequiredService<IGrainFactory>();

    protected internal IServiceProvider ServiceProvider => GrainContext.ActivationServices;

    public virtual Task OnActivateAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public virtual Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken) =>
        Task.CompletedTask;

    /// <summary>Ends this activation as soon as its running requests have ended.</summary>
    protected void DeactivateOnIdle() => GrainBaseExtensions.DeactivateOnIdle(this);

    /// <summary>Keeps an idle activation for at least this long; zero or less takes an earlier delay back.</summary>
    protected void DelayDeactivation(TimeSpan timeSpan) => Activation.Of(GrainContext).KeepFor(timeSpan);
}
