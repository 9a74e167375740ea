using System.Runtime.InteropServices;

namespace Krewe.Models;

/// <summary>
/// Remembers the tokens of short words. Direct-mapped: a word has one slot, the newest word in it wins, memory is
/// bounded. Safe for all threads without locks, because an entry never changes and a reference is written whole.
/// </summary>
internal sealed class WordCache
{
    /// <summary>Longer words hardly repeat.</summary>
    public const int WordCharsMax = 40;

    // 2^16 slots hold the working set of any one language; 512 KiB of references when empty.
    private const int SlotBits = 16;

    private readonly Entry?[] _slots = new Entry?[1 << SlotBits];

    public bool TryGet(ReadOnlySpan<char> word, out int[] tokens)
    {
        var entry = Volatile.Read(ref _slots[Slot(word)]);
        if (entry is not null && word.SequenceEqual(entry.Word))
        {
            tokens = entry.Tokens;
            return true;
        }

        tokens = [];
        return false;
    }

    public void Put(ReadOnlySpan<char> word, ReadOnlySpan<int> tokens)
    {
        if (word.Length <= WordCharsMax)
            Volatile.Write(ref _slots[Slot(word)], new Entry(word.ToString(), tokens.ToArray()));
    }

    private static int Slot(ReadOnlySpan<char> word)
    {
        const ulong Multiplier = 0x9E3779B97F4A7C15;
        var hash = (ulong)word.Length * Multiplier;
        foreach (var chunk in MemoryMarshal.Cast<char, ulong>(word))
            hash = (hash ^ chunk ^ (hash >> 29)) * Multiplier;
        foreach (var c in word[(word.Length & ~3)..])
            hash = (hash ^ c ^ (hash >> 29)) * Multiplier;
        return (int)(hash >> (64 - SlotBits));
    }

    private sealed class Entry(string word, int[] tokens)
    {
        public string Word { get; } = word;

        public int[] Tokens { get; } = tokens;
    }
}
