using System.Runtime.InteropServices;
using Krewe.Abstractions;
using Krewe.Control.Kv;
using Krewe.Control.Routing;

namespace Krewe.Control.Prefixes;

/// <summary>
/// What a router believes the workers to have, because it sent it there: an index without reports, in which the oldest
/// routed blocks are forgotten first.
/// </summary>
/// <remarks>Bytes a block: 12 to know when to forget it, all of them taken at the first one, and some 15 of the index.
/// </remarks>
public sealed class RoutedPrefixes
{
    private const int NoHolder = -1;

    private readonly PrefixIndex _index = new();
    private readonly List<int> _holders = [];
    private readonly int _blocksMax;
    private Entry[] _routed = [];
    private int _count;
    private int _oldest;

    /// <param name="blocksMax">Routed blocks that are remembered.</param>
    public RoutedPrefixes(int blocksMax = 1 << 20) => _blocksMax = blocksMax;

    /// <summary>Routed blocks that are remembered now.</summary>
    public int Count => _count;

    public void Routed(int slot, ReadOnlySpan<PrefixHash> hashes)
    {
        while (_holders.Count <= slot) _holders.Add(NoHolder);
        if (_holders[slot] == NoHolder) _holders[slot] = _index.Open(slot);
        var holder = _holders[slot];
        // The chain's end first: its beginning is then the newest, and a chain is forgotten from its end on.
        for (var i = hashes.Length - 1; i >= 0; i--)
        {
            if (_index.Holds(holder, hashes[i], KvTier.Device)) continue;
            Remember(new Entry(PrefixIndex.KeyOf(hashes[i]), (ushort)slot, (ushort)holder));
            _index.Add(holder, hashes[i], KvTier.Device);
        }
    }

    public void Match(ReadOnlySpan<PrefixHash> hashes, int blockTokens, PrefixHits hits) =>
        _index.Match(hashes, blockTokens, hits);

    public void Forget(int slot)
    {
        if (slot >= _holders.Count || _holders[slot] == NoHolder) return;
        _index.Close(_holders[slot]);
        _holders[slot] = NoHolder;
    }

    private void Remember(Entry routed)
    {
        if (_routed.Length == 0) _routed = new Entry[_blocksMax];
        if (_count < _blocksMax)
        {
            _routed[_count++] = routed;
            return;
        }

        var old = _routed[_oldest];
        if (_holders[old.Slot] == old.Holder) _index.Remove(old.Holder, old.Key, KvTier.Device);
        _routed[_oldest] = routed;
        _oldest = (_oldest + 1) % _blocksMax;
    }

    /// <summary>A block by its key in the index, and where it was sent: slots and holders are fewer than 8,192.
    /// </summary>
    [StructLayout(LayoutKind.Sequential, Pack = 4)]
    private readonly record struct Entry(ulong Key, ushort Slot, ushort Holder);
}
