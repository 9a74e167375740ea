using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Control.Handoff;
using Krewe.Control.Kv;
using SequenceKey = Krewe.Abstractions.SequenceKey;
using WorkerRole = Krewe.Abstractions.WorkerRole;

namespace Krewe.Workers;

/// <summary>Everything that other threads may tell the engine thread.</summary>
internal abstract partial record EngineCommand
{
    private EngineCommand()
    {
    }

    public sealed record Start(ISequenceOwner Owner, StartSequence Sequence) : EngineCommand;

    public sealed record Abort(ISequenceOwner Owner, SequenceKey Key, string Reason) : EngineCommand;

    /// <summary>The owner is gone: nothing of its is wanted any more.</summary>
    public sealed record OwnerLost(ISequenceOwner Owner) : EngineCommand;

    /// <summary>
    /// Takes nothing new from now on; what runs has <paramref name="Grace"/> to finish or to leave, null = the worker's
    /// own.
    /// </summary>
    public sealed record Drain(TimeSpan? Grace = null) : EngineCommand;

    /// <summary>Takes other parts from now on.</summary>
    public sealed record SetRole(WorkerRole Role) : EngineCommand;

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

    /// <summary>The blocks that a sequence waited for are there, or as many of them as could be had.</summary>
    public sealed record RestoreEnded(SequenceKey Key) : EngineCommand;

    /// <summary>A block is to be kept below the device for a while, or no longer.</summary>
    public sealed record Keep(KvKeep Block) : EngineCommand;

    /// <summary>A puller wants these blocks of the prefix cache.</summary>
    public sealed record PrefixWanted(PrefixConnection Link, PrefixHash[] Hashes) : EngineCommand;

    /// <summary>Its link is over: nobody reads the blocks any more.</summary>
    public sealed record PrefixReleased(PrefixConnection Link) : EngineCommand;

    /// <summary>A prefix fetch from this worker has ended.</summary>
    public sealed record FetchEnded(SequenceKey Key, string Holder, PrefixResult Result) : EngineCommand;

    /// <summary>A pull has ended, at that moment (UTC).</summary>
    public sealed record PullEnded(SequenceKey Key, PullResult Result, DateTimeOffset At) : EngineCommand;
}
