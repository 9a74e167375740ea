using Krewe.Control.Handoff;
using Krewe.Control.Kv;

namespace Krewe.Workers;

/// <summary>The pool and the prefix cache of one worker, in terms of sequences. Engine thread only.</summary>
internal sealed class KvBlocks
{
    private readonly BlockPool _pool;
    private readonly PrefixCache _cache;
    private readonly int _blockTokens;

    public KvBlocks(int blocks, int blockTokens)
    {
        _pool = new BlockPool(blocks);
        _cache = new PrefixCache(_pool);
        _blockTokens = blockTokens;
    }

    public int BlockTokens => _blockTokens;

    public int TotalBlocks => _pool.TotalBlocks;

    public int FreeBlocks => _pool.FreeBlocks;

    public int EvictableBlocks => _pool.EvictableBlocks;

    public int PinnedBlocks => _pool.PinnedBlocks;

    public int AvailableBlocks => _pool.AvailableBlocks;

    public int BlocksFor(int tokens) => (tokens + _blockTokens - 1) / _blockTokens;

    /// <summary>What the cache would give the sequence if it were admitted now.</summary>
    public PrefixHit Peek(Sequence sequence) =>
        sequence.Pulls ? _cache.PeekAny(Matchable(sequence)) : _cache.Peek(Matchable(sequence));

    public int ReleasableBlocks(Sequence sequence) => _pool.ReleasableBlocks(sequence.Blocks);

    /// <summary>
    /// Gives a waiting sequence its prefix hits and blocks for all its known tokens, as the plan promised.
    /// </summary>
    public void Admit(Sequence sequence)
    {
        var hits = sequence.Pulls ? MatchPresent(sequence) : _cache.Match(sequence.Blocks, Matchable(sequence));
        sequence.InsertedBlocks = hits;
        sequence.ComputedTokens = sequence.PrefixHitTokens = hits * _blockTokens;
        Grow(sequence);
    }

    /// <summary>Makes room for the sequence's known tokens.</summary>
    public void Grow(Sequence sequence) => IntegrityException.Check(
        _pool.TryGrow(sequence.Blocks, BlocksFor(sequence.KnownTokens)),
        $"The plan gave {sequence.Key} a block that the pool does not have.");

    /// <summary>
    /// Makes blocks that are full by now findable. A block's content may move to an equal one here, unless a puller may
    /// be reading it.
    /// </summary>
    public void InsertFull(Sequence sequence)
    {
        if (sequence.Chain is not { } chain) return;
        var full = sequence.ComputedTokens / _blockTokens;
        if (full == sequence.InsertedBlocks) return;
        chain.Cover(sequence.Tokens[..sequence.ComputedTokens]);
        for (; sequence.InsertedBlocks < full; sequence.InsertedBlocks++)
        {
            _cache.Insert(
                sequence.Blocks, sequence.InsertedBlocks, chain.Hashes[sequence.InsertedBlocks],
                keepOwn: sequence.Puller is not null);
        }
    }

    public void Release(Sequence sequence)
    {
        _pool.Release(sequence.Blocks);
        sequence.ComputedTokens = sequence.InsertedBlocks = 0;
    }

    public void CheckIntegrity(IEnumerable<Sequence> sequences)
    {
        _pool.CheckIntegrity(sequences.Select(sequence => sequence.Blocks));
        _cache.CheckIntegrity();
    }

    /// <summary>
    /// Every resident block of a context that is pulled need not travel, behind a gap too. Returns the leading ones.
    /// </summary>
    private int MatchPresent(Sequence sequence)
    {
        sequence.PresentBlocks = BlockRuns.Of(
            _cache.MatchAny(sequence.Blocks, Matchable(sequence)), HandoffLimits.PresentRunsMax);
        return sequence.PresentBlocks.SkipFrom(0);
    }

    /// <summary>
    /// Hashes of the blocks that a match may use. A sequence that samples here must compute at least its last token;
    /// one that is pulled gets its next token from the source and can use every full block.
    /// </summary>
    private ReadOnlySpan<PrefixHash> Matchable(Sequence sequence)
    {
        if (sequence.Chain is not { } chain) return [];
        chain.Cover(sequence.Tokens);
        var usable = sequence.Pulls ? sequence.KnownTokens : sequence.KnownTokens - 1;

        // A row gives the log-probability of the token behind it: it must be computed, cached or not.
        if (sequence.ScoresPrompt) usable = Math.Min(usable, sequence.ScoredPromptTokens - 1);
        return chain.Hashes[..(usable / _blockTokens)];
    }
}
