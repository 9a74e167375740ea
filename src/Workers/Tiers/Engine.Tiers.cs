using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Control.Kv;
using Krewe.Control.KvEvents;
using Krewe.Control.Tiers;
using SequenceKey = Krewe.Abstractions.SequenceKey;

namespace Krewe.Workers;

/// <summary>
/// Tiers below the device as the engine sees them. Down: full blocks are copied to host memory, and from there to disk,
/// before they are evicted. Up: an admitted sequence whose prefix goes on in a lower tier gets these blocks restored
/// when that is cheaper than computing them.
/// </summary>
internal sealed partial class Engine
{
    /// <summary>
    /// Copies down in one turn that computed, beside as many as it filled: they cost the batch time. An idle turn
    /// copies more.
    /// </summary>
    private const int SpillsPerBusyTurn = 2;

    private const int SpillsPerIdleTurn = 16;

    /// <summary>Blocks of a prefix that one KV block grain stands for, named by the first.</summary>
    private const int GroupBlocks = 32;

    /// <summary>Of the blocks to be evicted next, how many a busy turn looks at.</summary>
    private const int SpillSearch = 128;

    private readonly KvTiers? _tiers;
    private readonly PrefillMeter _prefillMeter = new();
    private readonly TierCounters _tierCounters = new();

    /// <summary>Blocks in the prefix cache that may not be in a lower tier, with their place in their sequence.
    /// </summary>
    private readonly Dictionary<PrefixHash, int> _unspilled = [];

    /// <summary>Full blocks of running sequences that are to be checkpointed.</summary>
    private readonly Queue<(PrefixHash Hash, BlockId Block)> _checkpoints = new();

    private void AttachTiers()
    {
        if (_tiers is null && _settings.KvEvents is null) return;
        _kv.Cache.Inserted = NoteInserted;
        _kv.Cache.Evicted = NoteEvicted;
        if (_tiers is not null) _tiers.WriteEnded = () => _wake.Set();
    }

    // ---- down ----

    private void NoteInserted(PrefixHash hash, BlockId block, int index)
    {
        _settings.KvEvents?.Add(new KvChange(
            KvChangeKind.Stored, KvTier.Device, hash, IsGroupHead: index % GroupBlocks == 0));
        if (_tiers is null) return;
        _unspilled[hash] = index;
        // Bounded: where the disk takes nothing, old entries name blocks that have long been evicted.
        if (_tiers.Checkpoints && _checkpoints.Count < _kv.TotalBlocks) _checkpoints.Enqueue((hash, block));
    }

    private void NoteEvicted(PrefixHash hash, BlockId block)
    {
        if (_tiers is null)
        {
            _settings.KvEvents!.Add(new KvChange(KvChangeKind.Removed, KvTier.Device, hash));
        }
        else
        {
            var index = _unspilled.TryGetValue(hash, out var known) ? known : 0;
            _unspilled.Remove(hash);
            if (!_tiers.SpillEvicted(hash, block, RecomputeSeconds(index))) _tierCounters.LostBlocks++;
        }
    }

    /// <summary>
    /// Copies down what will be evicted next, so that eviction finds clean copies. True when more waits and could go.
    /// </summary>
    private bool SpillAhead(bool worked)
    {
        if (_tiers is null) return false;
        var left = worked ? SpillsPerBusyTurn + (PlannedRows() / _kv.BlockTokens) : SpillsPerIdleTurn;
        while (left > 0 && _tiers.HasRoom && _checkpoints.TryDequeue(out var full))
        {
            // It may have been evicted meanwhile, and has then gone down by that way.
            if (_kv.Cache.HashOf(full.Block) == full.Hash && TrySpill(full.Hash, full.Block)) left--;
        }

        if (_unspilled.Count == 0) return false;
        var search = worked ? SpillSearch : int.MaxValue;
        foreach (var block in _kv.Pool.InEvictionOrder())
        {
            if (left == 0) return true;
            if (!_tiers.HasRoom || search-- == 0) return false;
            if (_kv.Cache.HashOf(block) is { } hash && TrySpill(hash, block)) left--;
        }

        return false;
    }

    /// <summary>
    /// Before a preemption that costs less by copying: down with the full blocks that have no copy below yet, in few
    /// large copies. They stay in the prefix cache while there is room and come up again as any restored prefix does.
    /// </summary>
    private void SpillFull(Sequence sequence)
    {
        List<PrefixHash> hashes = [];
        List<int> blocks = [];
        List<float> costs = [];
        foreach (var block in sequence.Blocks.Span[..sequence.InsertedBlocks])
        {
            if (_kv.Cache.HashOf(new BlockId(block)) is not { } hash
                || !_unspilled.TryGetValue(hash, out var index)) continue;
            if (_tiers!.IsSafe(hash))
            {
                _unspilled.Remove(hash);
                continue;
            }

            hashes.Add(hash);
            blocks.Add(block);
            costs.Add(RecomputeSeconds(index));
        }

        _tierCounters.SwitchesOut++;
        var isBelow = new bool[hashes.Count];
        _tierCounters.SwitchOutCopies += (ulong)_tiers!.SpillAll(
            CollectionsMarshal.AsSpan(hashes), CollectionsMarshal.AsSpan(blocks), CollectionsMarshal.AsSpan(costs),
            isBelow);
        for (var i = 0; i < isBelow.Length; i++)
        {
            if (!isBelow[i]) continue;
            _tierCounters.SpilledBlocks++;
            _unspilled.Remove(hashes[i]);
        }
    }

    private int PlannedRows()
    {
        var rows = 0;
        foreach (var part in _planned) rows += part.Rows;
        return rows;
    }

    private bool TrySpill(PrefixHash hash, BlockId block)
    {
        if (!_unspilled.TryGetValue(hash, out var index)) return false;
        if (!_tiers!.IsSafe(hash))
        {
            if (!_tiers.Spill(hash, block, RecomputeSeconds(index))) return false;
            _tierCounters.SpilledBlocks++;
        }

        _unspilled.Remove(hash);
        return true;
    }

    private float RecomputeSeconds(int index) =>
        (float)_prefillMeter.Cost.Of(index * _kv.BlockTokens, (index + 1) * _kv.BlockTokens).TotalSeconds;

    private void KeepBlock(KvKeep keep)
    {
        if (_tiers is null || keep.Hash.Length != KvChange.HashBytes) return;
        var hash = new PrefixHash(BinaryPrimitives.ReadUInt128LittleEndian(keep.Hash.Span));
        _tiers.Keep(hash, TimeSpan.FromMilliseconds(keep.LifeMs));
    }

    private TierReport? ReportTiers()
    {
        if (_tiers is null) return null;
        var (host, disk) = (_tiers.Store.Host.Statistics, _tiers.Store.Disk);
        return new TierReport
        {
            HostBlocks = (uint)host.Objects,
            HostCapacity = (uint)host.CapacityObjects,
            DiskBlocks = (uint)(disk?.Objects ?? 0),
            DiskCapacity = (uint)(disk?.CapacityObjects ?? 0),
            SpilledBlocks = _tierCounters.SpilledBlocks,
            RestoredBlocks = _tierCounters.RestoredBlocks,
            BadBlocks = _tierCounters.BadBlocks,
            LostBlocks = _tierCounters.LostBlocks,
            RecomputeChosen = _tierCounters.RecomputeChosen,
            SwitchesOut = _tierCounters.SwitchesOut,
            SwitchOutCopies = _tierCounters.SwitchOutCopies,
            SwitchesIn = _tierCounters.SwitchesIn,
            SwitchInCopies = _tierCounters.SwitchInCopies,
        };
    }

    // ---- up ----

    /// <summary>
    /// The sequence has its blocks and hits on the device. Begins to restore what lower tiers have of the prefix behind
    /// them, where that pays.
    /// </summary>
    /// <returns>True when the sequence waits for its restore and must not be computed in this step.</returns>
    private bool BeginRestore(Sequence sequence, int rows)
    {
        if (_tiers is null || sequence.Pulls) return false;
        var hashes = _kv.Matchable(sequence)[sequence.InsertedBlocks..];
        if (hashes.Length == 0) return false;
        var (offers, cost) = (FindOffers(sequence, hashes), _prefillMeter.Cost);
        if (TierRule.Choose(sequence.ComputedTokens, sequence.KnownTokens, offers, cost) is not { } offer)
        {
            if (offers.Length > 0) _tierCounters.RecomputeChosen++;
            return false;
        }

        var first = sequence.InsertedBlocks;
        var blocks = (offer.Tokens / _kv.BlockTokens) - first;
        var restore = _tiers.TryRestore(hashes[..blocks], sequence.Blocks.Span[first..], first, offer.Load);
        if (restore is null) return false;
        sequence.Restore = restore;
        sequence.RestoredBlocks = restore.Blocks;
        var end = (first + restore.Blocks) * _kv.BlockTokens;

        // Layer by layer inside the step where nobody else is held up by it, or where computing hides the loading.
        var rest = Math.Min(rows, sequence.KnownTokens - end);
        var alone = _running.Count == 0 && _planned.Count == 0;
        // Not where a puller follows the layers: it must never be sent a bad one.
        if (restore.IsInPlace && sequence.Source is null && (alone || offer.Load < cost.Of(end, end + rest)))
        {
            sequence.ComputedTokens = sequence.PrefixHitTokens = end;
            return false;
        }

        WaitForRestore(sequence);
        return true;
    }

    /// <summary>The sequence is outside the batch until its restore has ended.</summary>
    private void WaitForRestore(Sequence sequence)
    {
        sequence.Stage = SequenceStage.Restoring;
        sequence.Restore!.Completion.ContinueWith(
            _ => Post(new EngineCommand.RestoreEnded(sequence.Key)), TaskScheduler.Default);
    }

    /// <summary>One offer for each run of blocks in the same tier: all that comes before it, and the run.</summary>
    private TierOffer[] FindOffers(Sequence sequence, ReadOnlySpan<PrefixHash> hashes)
    {
        var offers = new List<TierOffer>();
        var before = TimeSpan.Zero;
        for (var i = 0; i < hashes.Length && _tiers!.Find(hashes[i]) is { } tier;)
        {
            var start = i++;
            while (i < hashes.Length && _tiers.Find(hashes[i]) == tier) i++;
            before += _tiers.LoadTime(tier, i - start);
            offers.Add(new TierOffer(tier, sequence.ComputedTokens + (i * _kv.BlockTokens), before));
        }

        return [.. offers];
    }

    /// <summary>A sequence that waited for its restore runs on, or is released at last.</summary>
    private void EndRestore(SequenceKey key)
    {
        var sequence = _sequences[key];
        var restore = TakeRestore(sequence);
        if (restore.IsAbandoned)
        {
            Release(sequence);
            return;
        }

        sequence.PrefixHitTokens = sequence.ComputedTokens;
        _kv.InsertFull(sequence);
        Run(sequence);
        OfferFilledBlocks(sequence);
    }

    /// <summary>Ends the sequence's restore: what is computed by it is what came up whole.</summary>
    private SequenceRestore TakeRestore(Sequence sequence)
    {
        var restore = sequence.Restore!;
        restore.Completion.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing).GetAwaiter().GetResult();
        sequence.Restore = null;
        sequence.RestoredBlocks = restore.GoodBlocks;
        sequence.ComputedTokens = (restore.FirstBlock + restore.GoodBlocks) * _kv.BlockTokens;
        var bad = restore.Blocks - restore.GoodBlocks;
        _tierCounters.RestoredBlocks += (ulong)restore.GoodBlocks;
        _tierCounters.BadBlocks += (ulong)bad;
        _tierCounters.SwitchesIn++;
        _tierCounters.SwitchInCopies += (ulong)restore.Copies;
        if (bad > 0) LogBadBlocks(_logger, sequence.Key, bad, restore.Blocks);
        else LogRestored(_logger, sequence.Key, restore.Blocks, restore.Duration, restore.Expected);
        return restore;
    }

    /// <summary>What the runner of the planned step has to wait for.</summary>
    private LayerGates? GateOfStep()
    {
        List<ILayerGate>? gates = null;
        foreach (var part in _planned)
        {
            if (part.Sequence.Restore is { } restore) (gates ??= []).Add(restore);
        }

        return gates is null ? null : new LayerGates(gates);
    }

    /// <summary>
    /// After a step: ends the restores that it followed. A sequence with a bad or late block computed rubbish; false:
    /// nothing of the step counts for it, and its missing rows come again.
    /// </summary>
    private bool SettleRestore(Sequence sequence)
    {
        if (sequence.Restore is null) return true;
        if (!sequence.Restore.WasFollowed)
        {
            _running.Remove(sequence);
            sequence.ComputedTokens = sequence.Restore.FirstBlock * _kv.BlockTokens;
            WaitForRestore(sequence);
            return false;
        }

        var wanted = sequence.ComputedTokens;
        TakeRestore(sequence);
        if (sequence.ComputedTokens == wanted) return true;
        _kv.InsertFull(sequence);
        return false;
    }

    /// <summary>Prompt tokens of the planned step, and how many tokens they attend to together.</summary>
    private (int Tokens, double Pairs) PrefillWork()
    {
        var (tokens, pairs) = (0, 0.0);
        foreach (var part in _planned)
        {
            if (part.Rows == 1) continue;
            tokens += part.Rows;
            pairs += part.Rows * (part.Sequence.ComputedTokens + (part.Rows / 2.0));
        }

        return (tokens, pairs);
    }

    [LoggerMessage(LogLevel.Debug, "{Sequence}: {Blocks} KV blocks were restored in {Took}, {Expected} expected.")]
    private static partial void LogRestored(
        ILogger logger, SequenceKey sequence, int blocks, TimeSpan took, TimeSpan expected);

    [LoggerMessage(LogLevel.Warning,
        "{Sequence}: {Bad} of {Blocks} KV blocks could not be restored; they are computed again.")]
    private static partial void LogBadBlocks(ILogger logger, SequenceKey sequence, int bad, int blocks);
}
