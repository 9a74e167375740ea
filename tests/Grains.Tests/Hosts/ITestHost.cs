using Orleans;
using Orleans.Runtime;

namespace Krewe.Grains.Tests;

/// <summary>
/// The grain host that this build was made for, with what a test asks of it beside the grains' own API.
/// </summary>
internal interface ITestHost : IAsyncDisposable
{
    IGrainFactory Grains { get; }

    /// <summary>Live activations of our grains, by grain type; a type without any is absent.</summary>
    Task<IReadOnlyDictionary<string, int>> CountActivationsAsync();

    /// <summary>Completes when this grain has no activation.</summary>
    Task WhenDeactivatedAsync(IAddressable grain);

    /// <summary>Ends what nobody has used for at least <paramref name="idle"/>.</summary>
    Task DeactivateIdleAsync(TimeSpan idle);
}
