using System.Collections.Immutable;

namespace Krewe.Silo.Cluster;

/// <summary>One silo of the cluster as the others reach it.</summary>
/// <param name="SiloId">Its name.</param>
/// <param name="Link">host:port where workers connect; null while it is not known.</param>
/// <param name="Gateway">Its REST gateway; null while it is not known.</param>
internal sealed record SiloPeer(string SiloId, string? Link, Uri? Gateway);

/// <summary>Which silos are there. Implemented by the grain host; an embedded one is alone.</summary>
internal interface ISiloRoster
{
    /// <summary>The silos that live, this one among them; empty for a silo that is alone.</summary>
    ImmutableArray<SiloPeer> Silos { get; }

    /// <summary>
    /// Whether this silo is the one that acts for the cluster: the first by name, so that every silo comes to the same
    /// answer, and when it dies the next one does.
    /// </summary>
    bool IsFirst(string siloId) => Silos is not [var first, ..] || first.SiloId == siloId;

    /// <summary>Completes when <see cref="Silos"/> has changed since this call.</summary>
    Task WhenChangedAsync(CancellationToken cancellationToken);
}

/// <summary>A silo that is alone.</summary>
internal sealed class LoneSilo : ISiloRoster
{
    public ImmutableArray<SiloPeer> Silos => [];

    public Task WhenChangedAsync(CancellationToken cancellationToken) =>
        Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken);
}
