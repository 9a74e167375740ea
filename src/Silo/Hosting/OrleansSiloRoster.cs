using System.Collections.Immutable;
using Krewe.Abstractions;
using Krewe.Silo.Cluster;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Orleans.Runtime;
using Orleans.Runtime.MembershipService.SiloMetadata;

namespace Krewe.Silo.Hosting;

/// <summary>Follows Orleans' membership and what each silo says of itself.</summary>
internal sealed partial class OrleansSiloRoster(
    IClusterMembershipService membership, ISiloMetadataCache metadata, SiloOptions options, TimeProvider time,
    ILogger<OrleansSiloRoster> log) : BackgroundService, ISiloRoster
{
    /// <summary>A silo's metadata is fetched from it a moment after it has become active.</summary>
    private static readonly TimeSpan MetadataPause = TimeSpan.FromMilliseconds(250);

    private readonly Lock _gate = new();
    private readonly HashSet<SiloAddress> _differing = [];
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private ImmutableArray<SiloPeer> _silos = [];

    public ImmutableArray<SiloPeer> Silos
    {
        get
        {
            lock (_gate) return _silos;
        }
    }

    public Task WhenChangedAsync(CancellationToken cancellationToken)
    {
        lock (_gate) return _changed.Task.WaitAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            await foreach (var _ in membership.MembershipUpdates.WithCancellation(stoppingToken))
            {
                while (!Take(membership.CurrentSnapshot)) await Task.Delay(MetadataPause, time, stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            return;
        }
    }

    /// <returns>False while a silo that lives has not said where its workers connect.</returns>
    private bool Take(ClusterMembershipSnapshot snapshot)
    {
        var complete = true;
        var silos = ImmutableArray.CreateBuilder<SiloPeer>();
        var living = snapshot.Members.Values.Where(member => member.Status == SiloStatus.Active);
        foreach (var member in living.OrderBy(member => member.Name, StringComparer.Ordinal))
        {
            var said = metadata.GetSiloMetadata(member.SiloAddress)?.Metadata
                ?? ImmutableDictionary<string, string>.Empty;
            var peer = OrleansEndpoints.ToPeer(member.Name, said);
            complete &= peer.Link is not null;
            silos.Add(peer);
            CompareOptions(member, OrleansEndpoints.OptionsOf(said));
        }

        Set(silos.ToImmutable());
        return complete;
    }

    private void CompareOptions(ClusterMember member, string? theirs)
    {
        var ours = options.Cluster.ToString();
        if (theirs is null || theirs == ours || !_differing.Add(member.SiloAddress)) return;
        LogOptionsDiffer(log, member.Name, theirs, ours);
    }

    private void Set(ImmutableArray<SiloPeer> silos)
    {
        TaskCompletionSource changed;
        ImmutableArray<SiloPeer> before;
        lock (_gate)
        {
            if (_silos.SequenceEqual(silos)) return;
            (before, _silos) = (_silos, silos);
            changed = _changed;
            _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        LogSilos(log, string.Join(", ", silos.Select(silo => $"{silo.SiloId} at {silo.Link}")));
        foreach (var gone in before.Select(silo => silo.SiloId).Except(silos.Select(silo => silo.SiloId)))
            LogGone(log, gone, silos.Length);
        changed.SetResult();
    }

    [LoggerMessage(60, LogLevel.Information, "Silos of the cluster: {Silos}")]
    private static partial void LogSilos(ILogger log, string silos);

    [LoggerMessage(64, LogLevel.Warning,
        "{Silo} has left the cluster or died; {Left} silos are left. Its resumable streams go on at any of them")]
    private static partial void LogGone(ILogger log, string silo, int left);

    [LoggerMessage(61, LogLevel.Error, "{Silo} has other cluster options than this silo; start both with the same. "
        + "There: {Theirs}. Here: {Ours}")]
    private static partial void LogOptionsDiffer(ILogger log, string silo, string theirs, string ours);
}
