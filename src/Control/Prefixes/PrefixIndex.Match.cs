using System.Numerics;
using Krewe.Control.Kv;
using Krewe.Control.Routing;
using PrefixHit = Krewe.Control.Routing.PrefixHit;

namespace Krewe.Control.Prefixes;

/// <summary>Look-ups: how deep into a prompt's chain each holder goes.</summary>
public sealed partial class PrefixIndex
{
    private const int DeviceBit = 1;
    private const int HostBit = 2;
    private const int DiskBit = 4;
    private const int AnyTier = DeviceBit | HostBit | DiskBit;

    /// <summary>Up to this many holders are compared one by one; above it their number must do (see AllHold).</summary>
    private const int CountedAbove = 64;

    private readonly ulong[] _active = new ulong[HoldersMax / 64];
    private readonly ulong[] _probe = new ulong[HoldersMax / 64];
    private readonly ulong[] _matched = new ulong[HoldersMax / 64];
    private readonly int[] _any = new int[HoldersMax];
    private readonly int[] _device = new int[HoldersMax];
    private readonly int[] _host = new int[HoldersMax];

    /// <summary>
    /// What each open holder has of a prompt, from its first block on, told under the holders' slots. Allocates nothing
    /// once <paramref name="hits"/> has grown.
    /// </summary>
    public void Match(ReadOnlySpan<PrefixHash> hashes, int blockTokens, PrefixHits hits)
    {
        ArgumentNullException.ThrowIfNull(hits);
        if (hashes.IsEmpty || _holdersUsed == 0) return;
        var words = ((_holdersUsed - 1) >> 6) + 1;
        Deepen(hashes, AnyTier, words, _any);
        if (_hasLowerTiers)
        {
            Deepen(hashes, DeviceBit, words, _device);
            Deepen(hashes, DeviceBit | HostBit, words, _host);
        }

        First(hashes, AnyTier, words, _matched);
        for (var word = 0; word < words; word++)
        {
            for (var bits = _matched[word]; bits != 0; bits &= bits - 1)
            {
                var holder = (word << 6) + BitOperations.TrailingZeroCount(bits);
                var any = _any[holder];
                var device = _hasLowerTiers ? _device[holder] : any;
                var host = _hasLowerTiers ? Math.Max(device, _host[holder]) : any;
                _any[holder] = _device[holder] = _host[holder] = 0;
                if (_slotOf[holder] == Hidden) continue;
                hits.Set(_slotOf[holder], new PrefixHit(
                    device * blockTokens, (host - device) * blockTokens, (any - host) * blockTokens));
            }
        }
    }

    /// <summary>
    /// For each holder of the first block the number of blocks it has in these tiers, by galloping: prefixes are closed
    /// (nobody keeps a child whose parent is gone, see BlockPool.Release), so the set of holders only shrinks with
    /// depth, and only the positions where it does are looked for. Look-ups: shrinkings times the depth's logarithm.
    /// </summary>
    private void Deepen(ReadOnlySpan<PrefixHash> hashes, int tiers, int words, int[] depths)
    {
        var active = _active.AsSpan(0, words);
        var count = First(hashes, tiers, words, active);
        for (var low = 0; count > 0;)
        {
            // All active ones hold the block at low.
            var high = hashes.Length;
            for (var step = 1; low + 1 < high; step *= 2)
            {
                var next = Math.Min(low + step, hashes.Length - 1);
                if (!AllHold(hashes[next], count, tiers, words))
                {
                    high = next;
                    break;
                }

                low = next;
            }

            while (high - low > 1)
            {
                var middle = (low + high) / 2;
                if (AllHold(hashes[middle], count, tiers, words)) low = middle;
                else high = middle;
            }

            count = Narrow(high < hashes.Length ? hashes[high] : null, tiers, words, high, depths);
            low = high;
        }
    }

    /// <summary>The open holders of the first block.</summary>
    private int First(ReadOnlySpan<PrefixHash> hashes, int tiers, int words, Span<ulong> holders)
    {
        holders = holders[..words];
        holders.Clear();
        _sets.Fill(Find(hashes[0]), tiers, holders);
        var count = 0;
        for (var word = 0; word < words; word++)
        {
            holders[word] &= ~_closed[word];
            count += BitOperations.PopCount(holders[word]);
        }

        return count;
    }

    /// <summary>
    /// True when every active holder has the block. A large set has them all when it has as many: sets only shrink with
    /// depth. (Wrong only for a chain with a hole, and then by one estimate.)
    /// </summary>
    private bool AllHold(PrefixHash hash, int count, int tiers, int words)
    {
        var value = Find(hash);
        var holders = _sets.Count(value);
        if (holders < count) return false;
        if (count > CountedAbove && tiers == AnyTier && _sweepShard < 0) return true;
        var probe = _probe.AsSpan(0, words);
        probe.Clear();
        _sets.Fill(value, tiers, probe);
        for (var word = 0; word < words; word++)
        {
            if ((_active[word] & ~probe[word]) != 0) return false;
        }

        return true;
    }

    /// <summary>Who does not hold the block ends at this depth; the rest stays active and is counted.</summary>
    private int Narrow(PrefixHash? hash, int tiers, int words, int depth, int[] depths)
    {
        var probe = _probe.AsSpan(0, words);
        probe.Clear();
        if (hash is { } some) _sets.Fill(Find(some), tiers, probe);
        var count = 0;
        for (var word = 0; word < words; word++)
        {
            for (var left = _active[word] & ~probe[word]; left != 0; left &= left - 1)
                depths[(word << 6) + BitOperations.TrailingZeroCount(left)] = depth;
            _active[word] &= probe[word];
            count += BitOperations.PopCount(_active[word]);
        }

        return count;
    }

    private uint Find(PrefixHash hash)
    {
        var key = KeyOf(hash);
        return ShardOf(key).Find(key);
    }
}
