using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Krewe.Control.Prefixes;

/// <summary>
/// Open addressing with linear probing over 12-byte entries: one or two cache lines a look-up. Many small shards grow
/// and are swept one after the other, so that no update waits for ten million blocks. A key's home ascends with its low
/// half, so entries stay sorted by home and a removal shifts back what follows instead of leaving a tombstone.
/// </summary>
internal sealed class BlockTableShard
{
    private const int EntryBytes = 12;
    private const int FirstSize = 4;
    private const double LoadMax = 0.8;
    private const double Growth = 1.3;

    private Entry[] _entries = new Entry[FirstSize];

    public int Count { get; private set; }

    /// <summary>Positions, for sweeping.</summary>
    public int Size => _entries.Length;

    public long Bytes => (long)_entries.Length * EntryBytes;

    /// <summary>The key's value; 0 when it is not there.</summary>
    public uint Find(ulong key)
    {
        var entries = _entries;
        for (var i = Home(key, entries.Length); ;)
        {
            ref var entry = ref entries[i];
            if (entry.Key == key) return entry.Value;
            if (entry.Key == 0) return 0;
            if (++i == entries.Length) i = 0;
        }
    }

    /// <summary>The key's value, to be set: 0 when it is new. Valid until the next call.</summary>
    public ref uint FindOrAdd(ulong key)
    {
        // One entry stays empty: it ends every probe.
        if (Count + 1 > _entries.Length * LoadMax) Grow();
        ref var entry = ref Probe(_entries, key);
        if (entry.Key == 0)
        {
            entry.Key = key;
            entry.Value = 0;
            Count++;
        }

        return ref entry.Value;
    }

    /// <summary>The key's value, to be changed; a null reference when it is not there.</summary>
    public ref uint FindForUpdate(ulong key)
    {
        ref var entry = ref Probe(_entries, key);
        return ref entry.Key == 0 ? ref Unsafe.NullRef<uint>() : ref entry.Value;
    }

    public void Remove(ulong key)
    {
        var entries = _entries;
        var hole = Home(key, entries.Length);
        while (entries[hole].Key != key)
        {
            if (entries[hole].Key == 0) return;
            hole = Next(hole);
        }

        Count--;
        for (var i = Next(hole); entries[i].Key != 0; i = Next(i))
        {
            // An entry may move back to the hole unless its home lies behind the hole, cyclically in (hole, i].
            var home = Home(entries[i].Key, entries.Length);
            var stays = hole <= i ? hole < home && home <= i : hole < home || home <= i;
            if (stays) continue;
            entries[hole] = entries[i];
            hole = i;
        }

        entries[hole] = default;
    }

    /// <summary>What lies at a position; key 0 = nothing.</summary>
    public (ulong Key, uint Value) At(int position) => (_entries[position].Key, _entries[position].Value);

    private int Next(int position) => position + 1 == _entries.Length ? 0 : position + 1;

    private void Grow()
    {
        var old = _entries;
        _entries = new Entry[Math.Max(old.Length + 1, (int)(old.Length * Growth))];
        foreach (var entry in old)
        {
            if (entry.Key != 0) Probe(_entries, entry.Key) = entry;
        }
    }

    private static ref Entry Probe(Entry[] entries, ulong key)
    {
        var i = Home(key, entries.Length);
        while (entries[i].Key != key && entries[i].Key != 0)
        {
            if (++i == entries.Length) i = 0;
        }

        return ref entries[i];
    }

    private static int Home(ulong key, int size) => (int)(((key & uint.MaxValue) * (uint)size) >> 32);

    [StructLayout(LayoutKind.Sequential, Pack = 4)]
    private struct Entry
    {
        public ulong Key;
        public uint Value;
    }
}
