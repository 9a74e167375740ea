using Krewe.Abstractions;
using Krewe.Control.Kv;
using Krewe.Control.Routing;

namespace Krewe.Control.Prefixes;

/// <summary>
/// What a router believes the workers to have, because it sent it there: an index without reports, in which the oldest
/// routed blocks are forgotten first.
/// </summary>
public sealed class RoutedPrefixes
{
    private const int NoHolder = -1;

    private readonly PrefixIndex _index = new();
    private readonly List<int> _holders = [];
    private readonly List<(int Slot, int Holder, PrefixHash Hash)> _routed = [];
    private readonly int _blocksMax;
    private int _oldest;

    /// <param name="blocksMax">Routed blocks that are remembered.</param>
    public RoutedPrefixes(int blocksMax = 1 << 20) => _blocksMax = blocksMax;

    public void Routed(int slot, ReadOnlySpan<PrefixHash> hashes)
    {
        while (_holders.Count <= slot) _holders.Add(NoHolder);
        if (_holders[slot] == NoHolder) _holders[slot] = _index.Open(slot);
        var holder = _holders[slot];
        // The chain's end first: its beginning is then the newest, and a chain is forgotten from its end on.
        for (var i = hashes.Length - 1; i >= 0; i--)
        {
            if (_index.Holds(holder, hashes[i], KvTier.Device)) continue;
            Remember((slot, holder, hashes[i]));
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

    private void Remember((int Slot, int Holder, PrefixHash Hash) routed)
    {
        if (_routed.Count < _blocksMax)
        {
            _routed.Add(routed);
            return;
        }

        var old = _routed[_oldest];
        if (_holders[old.Slot] == old.Holder) _index.Remove(old.Holder, old.Hash, KvTier.Device);
        _routed[_oldest] = routed;
        _oldest = (_oldest + 1) % _blocksMax;
    }
}
