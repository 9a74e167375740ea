using Orleans;
using Orleans.Runtime;

namespace Krewe.EmbeddedOrleans;

/// <summary>What is alive in the embedded host: for the dashboard and for tests that look for leaks.</summary>
public interface IEmbeddedGrainDirectory
{
    /// <summary>Activations that live, or are on their way in or out.</summary>
    int ActivationCount { get; }

    /// <summary>The same by grain type; a type without activations is absent.</summary>
    IReadOnlyDictionary<string, int> ActivationCountByGrainType { get; }

    /// <summary>Object references that nobody has deleted.</summary>
    int ObserverCount { get; }

    /// <summary>Completes when this grain has no activation, at once if it has none now.</summary>
    Task WhenDeactivatedAsync(IAddressable grain, CancellationToken cancellationToken = default);

    /// <summary>Ends what nobody has used for at least <paramref name="idle"/>, and waits until it has ended.</summary>
    Task DeactivateIdleAsync(TimeSpan idle, CancellationToken cancellationToken = default);
}

/// <inheritdoc/>
internal sealed class EmbeddedGrainDirectory(GrainHost host) : IEmbeddedGrainDirectory
{
    public int ActivationCount => host.Catalog.Activations.Count();

    public IReadOnlyDictionary<string, int> ActivationCountByGrainType => host.Catalog.Activations
        .CountBy(activation => activation.GrainId.Type.ToString())
        .ToDictionary(StringComparer.Ordinal);

    public int ObserverCount => host.Factory.ObserverCount;

    public Task WhenDeactivatedAsync(IAddressable grain, CancellationToken cancellationToken = default)
    {
        var id = grain.GetGrainId();
        var alive = host.Catalog.Activations.Where(a => a.GrainId == id).Select(a => a.Deactivated);
        return Task.WhenAll(alive).WaitAsync(cancellationToken);
    }

    public Task DeactivateIdleAsync(TimeSpan idle, CancellationToken cancellationToken = default) =>
        Task.WhenAll(host.DeactivateIdle(idle).Select(a => a.Deactivated)).WaitAsync(cancellationToken);
}
