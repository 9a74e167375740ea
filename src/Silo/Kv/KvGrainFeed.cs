using System.Diagnostics.CodeAnalysis;
using System.Threading.Channels;
using Krewe.Abstractions;
using Krewe.Control.Kv;
using Krewe.Control.KvEvents;
using Microsoft.Extensions.Logging;
using Orleans;

namespace Krewe.Silo.Kv;

/// <summary>
/// Tells KV block grains of groups that are spilled, or that more than two workers have. One call after the other
/// behind a bounded queue: no link and no request ever waits for a grain. What does not fit is dropped and counted,
/// since a grain only remembers what workers know better.
/// </summary>
internal sealed partial class KvGrainFeed : IKvFeed, IAsyncDisposable
{
    private const int QueueMax = 8192;

    /// <summary>Groups that are followed; a further one has no grain until others go.</summary>
    private const int GroupsMax = 1 << 18;

    private readonly IGrainFactory _grains;
    private readonly ILogger<KvGrainFeed> _log;
    private readonly Channel<(PrefixHash Hash, KvReplica Replica, bool IsStored)> _queue =
        Channel.CreateBounded<(PrefixHash, KvReplica, bool)>(
            new BoundedChannelOptions(QueueMax) { SingleReader = true });

    private readonly Lock _gate = new();
    private readonly Dictionary<PrefixHash, HashSet<KvReplica>> _groups = [];
    private readonly Task _telling;
    private long _dropped;

    public KvGrainFeed(IGrainFactory grains, ILogger<KvGrainFeed> log)
    {
        (_grains, _log) = (grains, log);
        _telling = TellAsync();
    }

    /// <summary>Reports that found the queue full.</summary>
    public long Dropped => Interlocked.Read(ref _dropped);

    public void Begin(WorkerIncarnation worker) => Forget(worker);

    public void Apply(WorkerIncarnation worker, ReadOnlySpan<KvChange> changes)
    {
        foreach (var change in changes)
        {
            if (!change.IsGroupHead) continue;
            lock (_gate)
            {
                if (change.Kind != KvChangeKind.Stored) Remove(change.Hash, new KvReplica(worker, change.Tier));
                if (change.Kind == KvChangeKind.Stored) Add(change.Hash, new KvReplica(worker, change.Tier));
                if (change.Kind == KvChangeKind.Moved) Add(change.Hash, new KvReplica(worker, change.To));
            }
        }
    }

    public void Show(WorkerIncarnation worker, bool isComplete)
    {
        // A grain's record is a hint, complete or not.
    }

    public void End(WorkerIncarnation worker) => Forget(worker);

    public async ValueTask DisposeAsync()
    {
        _queue.Writer.TryComplete();
        await _telling;
    }

    /// <summary>Spilled, or shared: two workers have every block that was handed off, so it takes a third.</summary>
    private static bool HasGrain(HashSet<KvReplica> replicas) =>
        replicas.Any(replica => replica.Tier != KvTier.Device)
        || replicas.Select(replica => replica.Worker).Distinct().Skip(2).Any();

    private void Add(PrefixHash hash, KvReplica replica)
    {
        if (!_groups.TryGetValue(hash, out var replicas))
        {
            if (_groups.Count >= GroupsMax) return;
            _groups.Add(hash, replicas = []);
        }

        var had = HasGrain(replicas);
        if (!replicas.Add(replica) || !HasGrain(replicas)) return;
        // The copy that makes a grain of it tells of the earlier ones as well.
        foreach (var told in had ? [replica] : replicas.ToArray()) Queue(hash, told, isStored: true);
    }

    private void Remove(PrefixHash hash, KvReplica replica)
    {
        if (!_groups.TryGetValue(hash, out var replicas)) return;
        var had = HasGrain(replicas);
        if (!replicas.Remove(replica)) return;
        if (replicas.Count == 0) _groups.Remove(hash);
        if (had) Queue(hash, replica, isStored: false);
    }

    private void Forget(WorkerIncarnation worker)
    {
        lock (_gate)
        {
            var held = _groups
                .SelectMany(group => group.Value.Where(replica => replica.Worker == worker)
                    .Select(replica => (group.Key, replica)))
                .ToArray();
            foreach (var (hash, replica) in held) Remove(hash, replica);
        }
    }

    private void Queue(PrefixHash hash, KvReplica replica, bool isStored)
    {
        if (!_queue.Writer.TryWrite((hash, replica, isStored))) Interlocked.Increment(ref _dropped);
    }

    [SuppressMessage("Design", "CA1031", Justification =
        "A grain call can fail in any way its host has. It costs this one report.")]
    private async Task TellAsync()
    {
        await foreach (var (hash, replica, isStored) in _queue.Reader.ReadAllAsync())
        {
            try
            {
                var grain = _grains.GetGrain<IKvBlockGrain>(KvPort.Format(hash));
                await (isStored ? grain.StoredAsync(replica) : grain.RemovedAsync(replica));
            }
            catch (Exception e)
            {
                LogReportFailed(_log, KvPort.Format(hash), e);
            }
        }
    }

    [LoggerMessage(LogLevel.Warning, "KV block grain {Hash} could not be told of a copy.")]
    private static partial void LogReportFailed(ILogger logger, string hash, Exception error);
}
