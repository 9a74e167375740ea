using Krewe.Abstractions;
using Krewe.Control.Kv;
using Krewe.Control.KvEvents;
using Krewe.Control.Steps;
using Krewe.KvStore;

namespace Krewe.Workers;

/// <summary>
/// A worker's tiers below the device, in terms of prefix hashes and blocks. The engine decides what goes down and what
/// comes up; this moves the bytes. Ends only when no restore writes into the arena any more.
/// </summary>
internal sealed partial class KvTiers : IAsyncDisposable
{
    /// <summary>Blocks that pins may hold: a bounded part of any tier worth having.</summary>
    private const int KeptMax = 1024;

    private static readonly TimeSpan DiskStart = TimeSpan.FromMicroseconds(200);
    private static readonly TimeSpan WarningPause = TimeSpan.FromSeconds(10);

    private readonly TieredStore _store;
    private readonly IKvArena _arena;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly bool _hostIsBuffer;
    private readonly Lock _gate = new();
    private readonly HashSet<Task> _restores = [];
    private readonly Dictionary<PrefixHash, Kept> _kept = [];
    private readonly List<IDisposable> _pins = [];
    private KvEventLog? _events;
    private long? _lastWarning;

    /// <param name="hostIsBuffer">Host memory only carries blocks to disk; it is too small to keep them.</param>
    /// <param name="events">Told of what the tiers hold from now on; null: nobody.</param>
    public KvTiers(
        TieredStore store, IKvArena arena, bool checkpoints, bool hostIsBuffer, TimeProvider time, ILogger logger,
        KvEventLog? events = null)
    {
        (_store, _arena, Checkpoints, _hostIsBuffer) = (store, arena, checkpoints, hostIsBuffer);
        (_time, _logger) = (time, logger);
        _store.WriteFailed = Warn;
        PinHostMemory();
        if (events is not null) Tell(events);
    }

    public TieredStore Store => _store;

    /// <summary>Running sequences' blocks go down as they fill, not only when nobody uses them.</summary>
    public bool Checkpoints { get; }

    /// <summary>Told when a queued write has ended, so that more can be queued. Any thread.</summary>
    public Action? WriteEnded
    {
        set => _store.WriteEnded = value;
    }

    /// <summary>Whether another block can be queued for the lowest tier.</summary>
    public bool HasRoom => _store.HasRoom;

    /// <summary>What a preempted sequence's blocks would cost to keep: down and up are copies in host memory.</summary>
    public SpillRates Rates
    {
        get
        {
            var copyMs = LoadTime(KvTier.Host, 1).TotalMilliseconds;
            return new SpillRates(copyMs, copyMs, _store.Room);
        }
    }

    public static BlockKey KeyOf(PrefixHash hash) => new((ulong)(hash.Value >> 64), (ulong)hash.Value);

    public static PrefixHash HashOf(BlockKey key) => new(new UInt128(key.High, key.Low));

    /// <summary>Fastest tier that has the block; null when none has.</summary>
    public KvTier? Find(PrefixHash hash) => _store.Find(KeyOf(hash));

    /// <summary>Losing the device's copy now would lose nothing.</summary>
    public bool IsSafe(PrefixHash hash) => _store.IsSafe(KeyOf(hash));

    /// <summary>
    /// Copies a device block down, on the caller's thread, and queues its way to disk. False when there was no room.
    /// </summary>
    public bool Spill(PrefixHash hash, BlockId block, float recomputeSeconds)
    {
        var outcome = CopyDown(hash, block, recomputeSeconds);
        if (outcome == PutOutcome.Stored) _events?.Add(new KvChange(KvChangeKind.Stored, KvTier.Host, hash));
        return outcome is PutOutcome.Stored or PutOutcome.AlreadyPresent;
    }

    /// <summary>As <see cref="Spill"/> for a sequence's blocks, in few large copies where they lie side by side.
    /// </summary>
    /// <param name="recomputeSeconds">Of each.</param>
    /// <param name="isBelow">[hashes], written: the block is in a lower tier now.</param>
    /// <returns>How many copies it took.</returns>
    public int SpillAll(
        ReadOnlySpan<PrefixHash> hashes, ReadOnlySpan<int> blocks, ReadOnlySpan<float> recomputeSeconds,
        Span<bool> isBelow)
    {
        var (keys, outcomes) = (new BlockKey[hashes.Length], new PutOutcome[hashes.Length]);
        for (var i = 0; i < keys.Length; i++) keys[i] = KeyOf(hashes[i]);
        var copies = _store.SpillAll(
            keys, blocks, recomputeSeconds, outcomes, (_arena, Blocks: blocks.ToArray()),
            static (bytes, first, count, from) =>
                from._arena.CopyRunOut(new BlockId(from.Blocks[first]), count, bytes));
        for (var i = 0; i < outcomes.Length; i++)
        {
            isBelow[i] = outcomes[i] is PutOutcome.Stored or PutOutcome.AlreadyPresent;
            if (outcomes[i] == PutOutcome.Stored)
                _events?.Add(new KvChange(KvChangeKind.Stored, KvTier.Host, hashes[i]));
        }

        return copies;
    }

    /// <summary>The block is about to be lost on the device. False when it is lost for good.</summary>
    public bool SpillEvicted(PrefixHash hash, BlockId block, float recomputeSeconds)
    {
        var outcome = _hostIsBuffer && IsSafe(hash)
            ? PutOutcome.AlreadyPresent
            : CopyDown(hash, block, recomputeSeconds);
        _events?.Add(outcome == PutOutcome.Stored
            ? new KvChange(KvChangeKind.Moved, KvTier.Device, hash, KvTier.Host)
            : new KvChange(KvChangeKind.Removed, KvTier.Device, hash));
        return outcome is PutOutcome.Stored or PutOutcome.AlreadyPresent;
    }

    /// <summary>Time to load <paramref name="blocks"/> blocks from the tier at the moment.</summary>
    public TimeSpan LoadTime(KvTier tier, int blocks)
    {
        var bytes = (double)blocks * _arena.Geometry.BlockBytes;
        if (tier == KvTier.Host) return TimeSpan.FromSeconds(bytes / _store.Host.BytesPerSecond);
        // Reads under way go first; the bandwidth is theirs and ours together.
        bytes += (double)_store.Disk!.ReadsInFlight * _arena.Geometry.LayerBytes;
        return DiskStart + TimeSpan.FromSeconds(bytes / _store.Disk.ReadBytesPerSecond);
    }

    /// <summary>
    /// Begins to bring blocks up into <paramref name="blocks"/>; fewer than asked when some have gone meanwhile, null
    /// when the first has.
    /// </summary>
    public SequenceRestore? TryRestore(
        ReadOnlySpan<PrefixHash> hashes, ReadOnlySpan<int> blocks, int firstBlock, TimeSpan expected)
    {
        var sources = new List<IBlockSource>(hashes.Length);
        foreach (var hash in hashes)
        {
            if (_store.TryOpen(KeyOf(hash)) is not { } source) break;
            sources.Add(source);
        }

        if (sources.Count == 0) return null;
        var targets = new BlockId[sources.Count];
        for (var i = 0; i < targets.Length; i++) targets[i] = new BlockId(blocks[i]);
        var restore = new SequenceRestore(_arena, sources, targets, firstBlock, expected, _time);
        Track(restore);
        return restore;
    }

    /// <summary>
    /// Holds the block where it lies now, in host memory or on disk, so that nothing else takes its place; zero: lets
    /// go. Blocks beyond <see cref="KeptMax"/> are not held.
    /// </summary>
    public void Keep(PrefixHash hash, TimeSpan life)
    {
        lock (_gate)
        {
            if (_kept.Remove(hash, out var held)) held.Dispose();
            if (life <= TimeSpan.Zero || _kept.Count >= KeptMax) return;
            if (_store.TryOpen(KeyOf(hash)) is not { } source) return;
            _kept.Add(hash, new Kept(source, _time.CreateTimer(
                _ => Keep(hash, TimeSpan.Zero), null, life, Timeout.InfiniteTimeSpan)));
        }
    }

    /// <summary>Waits for the restores under way and for the queued writes; then closes the tiers.</summary>
    public async ValueTask DisposeAsync()
    {
        Task[] restores;
        lock (_gate)
        {
            restores = [.. _restores];
            foreach (var kept in _kept.Values) kept.Dispose();
            _kept.Clear();
        }

        await Task.WhenAll(restores).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        foreach (var pin in _pins) pin.Dispose();
        await _store.DisposeAsync();
    }

    /// <summary>Where blocks lie in device memory: it copies straight from and to the host tier, if that is pinned.
    /// </summary>
    private void PinHostMemory()
    {
        if (_arena is not IPinningArena pinning) return;
        foreach (var region in _store.Host.Regions)
        {
            if (pinning.TryPin(region.Address, region.LengthBytes, out var reason) is { } pin)
            {
                _pins.Add(pin);
                continue;
            }

            LogNotPinned(_logger, region.LengthBytes, reason);
            return;
        }
    }

    private PutOutcome CopyDown(PrefixHash hash, BlockId block, float recomputeSeconds) => _store.Spill(
        KeyOf(hash), (_arena, block), static (place, from) => from._arena.CopyOut(from.block, place),
        recomputeSeconds);

    private void Tell(KvEventLog events)
    {
        _events = events;
        _store.Host.Evicted = key => events.Add(new KvChange(KvChangeKind.Removed, KvTier.Host, HashOf(key)));
        if (_store.Disk is not { } disk) return;
        disk.Stored = (key, _) => events.Add(new KvChange(KvChangeKind.Stored, KvTier.Disk, HashOf(key)));
        disk.Removed = key => events.Add(new KvChange(KvChangeKind.Removed, KvTier.Disk, HashOf(key)));
        foreach (var key in disk.Keys) disk.Stored(key, 0);
    }

    private void Track(SequenceRestore restore)
    {
        lock (_gate) _restores.Add(restore.Completion);
        _ = restore.Completion.ContinueWith(
            ended =>
            {
                if (restore.DirectFailure is { } reason) LogNotDirect(_logger, reason);
                lock (_gate) _restores.Remove(ended);
            },
            TaskScheduler.Default);
    }

    private void Warn(KvStoreException error)
    {
        lock (_gate)
        {
            if (_lastWarning is { } last && _time.GetElapsedTime(last) < WarningPause) return;
            _lastWarning = _time.GetTimestamp();
        }

        LogWriteFailed(_logger, error.Message);
    }

    private sealed record Kept(IBlockSource Source, ITimer Timer) : IDisposable
    {
        public void Dispose()
        {
            Timer.Dispose();
            Source.Dispose();
        }
    }

    [LoggerMessage(LogLevel.Warning,
        "{Bytes} bytes of the host tier cannot be pinned; copies to and from them take a detour: {Reason}")]
    private static partial void LogNotPinned(ILogger logger, long bytes, string reason);

    [LoggerMessage(LogLevel.Warning, "KV objects come from disk by way of host memory from now on: {Reason}")]
    private static partial void LogNotDirect(ILogger logger, string reason);

    [LoggerMessage(LogLevel.Warning, "A KV block was not spilled to disk (said once in 10 s): {Reason}")]
    private static partial void LogWriteFailed(ILogger logger, string reason);
}
