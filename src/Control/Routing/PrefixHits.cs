namespace Krewe.Control.Routing;

/// <summary>Prompt tokens whose KV a worker has, from the first on, by the tier they lie in.</summary>
/// <param name="Device">In the cache that the engine computes with.</param>
/// <param name="Host">Behind those, in host memory.</param>
/// <param name="Disk">Behind those, on SSD.</param>
public readonly record struct PrefixHit(int Device, int Host, int Disk)
{
    public int Total => Device + Host + Disk;
}

/// <summary>Each worker's prefix hit for one request, by slot. Reused; clearing costs what was set.</summary>
public sealed class PrefixHits
{
    private PrefixHit[] _hits = [];
    private int[] _touched = [];
    private int _count;

    /// <summary>Slots with a hit, in the order they were set.</summary>
    public ReadOnlySpan<int> Slots => _touched.AsSpan(0, _count);

    /// <summary>Most tokens that any worker has, whatever the tier.</summary>
    public int BestTokens { get; private set; }

    /// <summary>The slot that has them; the first that was set among equals; null without a hit.</summary>
    public int? BestSlot { get; private set; }

    public PrefixHit this[int slot] => (uint)slot < (uint)_hits.Length ? _hits[slot] : default;

    /// <summary>One worker's hit; at most once a slot between two clears.</summary>
    public void Set(int slot, PrefixHit hit)
    {
        if (hit.Total == 0) return;
        if (slot >= _hits.Length)
        {
            Array.Resize(ref _hits, Math.Max(64, 2 * (slot + 1)));
            Array.Resize(ref _touched, _hits.Length);
        }

        _hits[slot] = hit;
        _touched[_count++] = slot;
        if (hit.Total <= BestTokens) return;
        BestTokens = hit.Total;
        BestSlot = slot;
    }

    public void Clear()
    {
        foreach (var slot in Slots) _hits[slot] = default;
        _count = 0;
        BestTokens = 0;
        BestSlot = null;
    }
}
