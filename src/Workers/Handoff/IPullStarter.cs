using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Control.Handoff;
using SequenceKey = Krewe.Abstractions.SequenceKey;

namespace Krewe.Workers;

/// <summary>What the target asks of a source.</summary>
/// <param name="Key">The sequence.</param>
/// <param name="Source">Where it is.</param>
/// <param name="Blocks">Reserved blocks of the whole context, by logical index.</param>
/// <param name="Present">Those of them that hold the right content already (prefix cache).</param>
/// <param name="ContextTokens">Tokens whose KV must come.</param>
/// <param name="OutputIndex">Output position of the token that prefill sampled.</param>
/// <param name="LeaseLife">Silence after which the source is given up.</param>
internal sealed record PullRequest(
    SequenceKey Key, DataAddress Source, BlockId[] Blocks, BlockRuns Present, int ContextTokens, int OutputIndex,
    TimeSpan LeaseLife);

/// <summary>How a pull ended. With either result nothing writes into the blocks any more.</summary>
internal abstract record PullResult
{
    private PullResult()
    {
    }

    /// <summary>Everything arrived and the commit was sent: the target owns the sequence.</summary>
    public sealed record Committed(int FirstToken, TokenLogprobs? Logprobs, int BlocksMoved, long BytesMoved)
        : PullResult;

    /// <summary>It did not come. <paramref name="Code"/> null: nothing is wrong, there is nothing to decode.</summary>
    public sealed record Aborted(ErrorCode? Code, string Reason) : PullResult;
}

/// <summary>A pull under way.</summary>
internal interface IActivePull
{
    /// <summary>Ends it soon; its result is still reported.</summary>
    void Cancel(string reason);
}

/// <summary>Starts pulls beside the engine thread; each reports one <see cref="EngineCommand.PullEnded"/>.</summary>
internal interface IPullStarter
{
    IActivePull Start(PullRequest request, Action<PullResult> ended);
}
