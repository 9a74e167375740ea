namespace Krewe.Models;

/// <summary>
/// The merges of a BPE model: which pair of neighbours becomes which token, lowest rank first, leftmost first among
/// equals. Short words are scanned, long ones go through a queue, so that time stays n log n on any input.
/// </summary>
internal sealed class MergeTable(Dictionary<ulong, (int Rank, int Token)> merges)
{
    // Below this the scan's small constant wins over the queue's.
    private const int ScanTokensMax = 64;

    private const int NoMerge = int.MaxValue;

    public static ulong Key(int left, int right) => ((ulong)(uint)left << 32) | (uint)right;

    /// <summary>Merges the tokens in place and returns how many are left, at the front.</summary>
    public int Apply(Span<int> tokens, MergeScratch scratch) =>
        tokens.Length < 2 ? tokens.Length
        : tokens.Length <= ScanTokensMax ? ApplyByScan(tokens)
        : ApplyByQueue(tokens, scratch);

    private int ApplyByScan(Span<int> tokens)
    {
        Span<int> ranks = stackalloc int[ScanTokensMax];
        Span<int> merged = stackalloc int[ScanTokensMax];
        var count = tokens.Length;
        for (var i = 0; i + 1 < count; i++)
            Look(tokens[i], tokens[i + 1], out ranks[i], out merged[i]);
        while (count > 1)
        {
            var best = 0;
            for (var i = 1; i + 1 < count; i++)
            {
                if (ranks[i] < ranks[best])
                    best = i;
            }

            if (ranks[best] == NoMerge)
                break;
            tokens[best] = merged[best];
            count--;
            for (var i = best + 1; i < count; i++)
                (tokens[i], ranks[i], merged[i]) = (tokens[i + 1], ranks[i + 1], merged[i + 1]);
            if (best + 1 < count)
                Look(tokens[best], tokens[best + 1], out ranks[best], out merged[best]);
            if (best > 0)
                Look(tokens[best - 1], tokens[best], out ranks[best - 1], out merged[best - 1]);
        }

        return count;
    }

    private int ApplyByQueue(Span<int> tokens, MergeScratch scratch)
    {
        scratch.Reserve(tokens.Length);
        var (next, previous, ranks, merged) = (scratch.Next, scratch.Previous, scratch.Ranks, scratch.Merged);
        var queue = scratch.Queue;
        queue.Clear();
        for (var i = 0; i < tokens.Length; i++)
        {
            (next[i], previous[i]) = (i + 1, i - 1);
            Enqueue(tokens, i, i + 1);
        }

        while (queue.TryDequeue(out var at, out var priority))
        {
            scratch.Operations++;
            // The pair changed since it was queued; its new rank, if any, has an entry of its own.
            if (ranks[at] != (int)(priority >> 32))
                continue;
            var gone = next[at];
            tokens[at] = merged[at];
            ranks[gone] = NoMerge;
            next[at] = next[gone];
            if (next[at] < tokens.Length)
                previous[next[at]] = at;
            Enqueue(tokens, at, next[at]);
            if (previous[at] >= 0)
                Enqueue(tokens, previous[at], at);
        }

        var count = 0;
        for (var i = 0; i < tokens.Length; i = next[i])
            tokens[count++] = tokens[i];
        return count;

        void Enqueue(Span<int> symbols, int left, int right)
        {
            ranks[left] = NoMerge;
            if (right >= symbols.Length)
                return;
            scratch.Operations++;
            Look(symbols[left], symbols[right], out ranks[left], out merged[left]);
            if (ranks[left] != NoMerge)
                queue.Enqueue(left, ((ulong)ranks[left] << 32) | (uint)left);
        }
    }

    private void Look(int left, int right, out int rank, out int token) =>
        (rank, token) = merges.TryGetValue(Key(left, right), out var found) ? found : (NoMerge, 0);
}

/// <summary>Working memory for one thread's long words; grows and is kept.</summary>
internal sealed class MergeScratch
{
    public int[] Next { get; private set; } = [];

    public int[] Previous { get; private set; } = [];

    public int[] Ranks { get; private set; } = [];

    public int[] Merged { get; private set; } = [];

    public PriorityQueue<int, ulong> Queue { get; } = new();

    /// <summary>Pairs looked up and queue entries taken so far: what the time of a long word grows with.</summary>
    public long Operations { get; set; }

    public void Reserve(int length)
    {
        if (Next.Length >= length)
            return;
        Next = new int[length];
        Previous = new int[length];
        Ranks = new int[length];
        Merged = new int[length];
    }
}
