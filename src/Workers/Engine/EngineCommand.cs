using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Control.Handoff;
using SequenceKey = Krewe.Abstractions.SequenceKey;

namespace Krewe.Workers;

/// <summary>Everything that other threads may tell the engine thread.</summary>
internal abstract record EngineCommand
{
    private EngineCommand()
    {
    }

    public sealed record Start(ISequenceOwner Owner, StartSequence Sequence) : EngineCommand;

    public sealed record Abort(ISequenceOwner Owner, SequenceKey Key, string Reason) : EngineCommand;

    /// <summary>The owner is gone: nothing of its is wanted any more.</summary>
    public sealed record OwnerLost(ISequenceOwner Owner) : EngineCommand;

    /// <summary>Takes nothing new from now on.</summary>
    public sealed record Drain : EngineCommand;

    /// <summary>A target wants this sequence; it has the blocks <paramref name="Present"/>.</summary>
    public sealed record PullerArrived(IPullerLink Link, SequenceKey Key, BlockRuns Present) : EngineCommand;

    /// <summary>
    /// The puller lives: its lease is renewed, and it has room for <paramref name="Credit"/> more blocks.
    /// </summary>
    public sealed record PullerSign(IPullerLink Link, SequenceKey Key, int Credit) : EngineCommand;

    public sealed record PullerCommitted(IPullerLink Link, SequenceKey Key) : EngineCommand;

    /// <summary>The puller gave up or its link broke.</summary>
    public sealed record PullerLost(IPullerLink Link, SequenceKey Key, ErrorCode? Code, string Reason) : EngineCommand;

    /// <summary>One run's send reads its blocks no more.</summary>
    public sealed record SendEnded(IPullerLink Link, SequenceKey Key) : EngineCommand;

    public sealed record PullEnded(SequenceKey Key, PullResult Result) : EngineCommand;
}
