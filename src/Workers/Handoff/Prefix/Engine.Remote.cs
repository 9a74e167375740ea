using Krewe.Abstractions;
using Krewe.Control.Kv;
using Krewe.Control.Tiers;

namespace Krewe.Workers;

/// <summary>
/// The remote tier as the engine sees it. As holder: what a puller wants of the prefix cache is pinned while its link
/// lasts. As puller: an admitted sequence whose prefix another worker holds gets it fetched when that is cheaper than
/// computing it.
/// </summary>
internal sealed partial class Engine
{
    /// <summary>What a link is taken for until it was measured: slow enough not to be hoped for.</summary>
    private const double AssumedBytesPerSecond = 500e6;

    /// <summary>A fetch that says nothing for this long is given up: computing began to be the better choice.</summary>
    private static readonly TimeSpan FetchPatience = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan AssumedFetchStart = TimeSpan.FromMilliseconds(2);

    private readonly Dictionary<PrefixConnection, BlockTable> _exports = [];
    private readonly Dictionary<string, TransferMeter> _remoteSpeeds = [];
    private long _fetchedBlocks;

    // ---- holder ----

    private void PinPrefix(EngineCommand.PrefixWanted wanted)
    {
        var table = new BlockTable();
        _kv.Pin(table, wanted.Hashes);
        _exports.Add(wanted.Link, table);
        var blocks = new BlockId[table.Count];
        for (var i = 0; i < blocks.Length; i++) blocks[i] = table[i];
        wanted.Link.Pinned(blocks);
    }

    private void UnpinPrefix(EngineCommand.PrefixReleased released)
    {
        if (!_exports.Remove(released.Link, out var table)) return;
        _kv.Unpin(table);
        _unchecked = true;
    }

    // ---- puller ----

    /// <summary>
    /// The sequence has its blocks and its hits here. Begins to fetch what its holder has of the prefix behind them,
    /// where that pays; each sequence tries once.
    /// </summary>
    /// <returns>True when the sequence waits for its fetch and must not be computed in this step.</returns>
    private bool BeginFetch(Sequence sequence)
    {
        if (sequence.PrefixSource is not { } holder || _pulls is null || sequence.Pulls) return false;
        sequence.PrefixSource = null;
        if (!_prefillMeter.IsMeasured) return false;
        var hashes = _kv.Matchable(sequence);
        var first = sequence.InsertedBlocks;
        var end = Math.Min(sequence.PrefixSourceTokens / _kv.BlockTokens, hashes.Length);
        var count = Math.Min(end - first, PrefixHashes.CountMax);
        if (count <= 0) return false;
        var load = SpeedOf(holder.WorkerId).Estimate((long)count * _runner.Kv.Geometry.BlockBytes);
        var offer = new TierOffer(KvTier.Remote, (first + count) * _kv.BlockTokens, load);
        if (TierRule.Choose(sequence.ComputedTokens, sequence.KnownTokens, [offer], _prefillMeter.Cost) is null)
            return false;

        var blocks = new BlockId[count];
        for (var i = 0; i < count; i++) blocks[i] = sequence.Blocks[first + i];
        sequence.Stage = SequenceStage.Fetching;
        sequence.ActivePull = _pulls.Fetch(
            new PrefixRequest(holder, hashes.Slice(first, count).ToArray(), blocks, FetchPatience),
            result => Post(new EngineCommand.FetchEnded(sequence.Key, holder.WorkerId, result)));
        return true;
    }

    /// <summary>What came is used as if it had been here; the rest is computed.</summary>
    private void EndFetch(EngineCommand.FetchEnded ended)
    {
        var sequence = _sequences[ended.Key];
        sequence.ActivePull = null;
        SpeedOf(ended.Holder).Add(ended.Result.Bytes, ended.Result.Duration);
        _fetchedBlocks += ended.Result.Blocks;
        if (sequence.Stage == SequenceStage.Ending)
        {
            if (sequence.Source is null or { Freed: true }) Release(sequence);
            return;
        }

        sequence.ComputedTokens += ended.Result.Blocks * _kv.BlockTokens;
        sequence.PrefixHitTokens = sequence.ComputedTokens;
        _kv.InsertFull(sequence);
        Run(sequence);
        OfferFilledBlocks(sequence);
    }

    private TransferMeter SpeedOf(string worker)
    {
        if (!_remoteSpeeds.TryGetValue(worker, out var meter))
            _remoteSpeeds.Add(worker, meter = new TransferMeter(AssumedBytesPerSecond, AssumedFetchStart));
        return meter;
    }
}
