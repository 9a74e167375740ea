using Krewe.Abstractions;
using Krewe.Control.Handoff;
using Krewe.Control.Kv;
using Krewe.Control.Migration;

namespace Krewe.Simulation.Faults;

/// <summary>What one worker does of an attempt.</summary>
internal enum SequencePart
{
    Prefill,
    Decode,
    Whole,

    /// <summary>Takes a running sequence over from another worker.</summary>
    Migrate,
}

/// <summary>One start command.</summary>
/// <param name="Key">The attempt.</param>
/// <param name="Part">What the worker does of it.</param>
/// <param name="Prompt">Prompt tokens.</param>
/// <param name="Output">Output tokens that the owner has accepted in earlier epochs.</param>
/// <param name="MaxOutputTokens">Of the whole stream.</param>
/// <param name="SourceId">Decode and migrate only: the worker that the KV comes from.</param>
/// <param name="SourceEpoch">Migrate only: the epoch that the source runs.</param>
internal sealed record StartCommand(
    SequenceKey Key, SequencePart Part, int[] Prompt, int[] Output, int MaxOutputTokens, string? SourceId,
    int SourceEpoch = 0);

/// <summary>One sequence on a simulated worker.</summary>
internal sealed class WorkerSequence(StartCommand start, SimulatedWorker owner)
{
    public StartCommand Start { get; } = start;

    /// <summary>Prompt and output tokens known here.</summary>
    public List<int> Tokens { get; } = [.. start.Prompt, .. start.Output];

    public BlockTable Table { get; } = new();

    /// <summary>Tokens whose KV is in the table's blocks.</summary>
    public int Computed { get; set; }

    public bool PrefillReported { get; set; }

    /// <summary>True while it waits for blocks.</summary>
    public bool Waiting { get; set; } = true;

    /// <summary>False once it holds nothing and every pending action of it must do nothing.</summary>
    public bool Alive { get; set; } = true;

    public HandoffSource? Source { get; set; }

    public HandoffTarget? Target { get; set; }

    /// <summary>The data link of the handoff; null before it is made.</summary>
    public SimulatedLink? DataLink { get; set; }

    /// <summary>The worker it is on.</summary>
    public SimulatedWorker Owner { get; } = owner;

    /// <summary>The other end of the data link.</summary>
    public WorkerSequence? Peer { get; set; }

    /// <summary>When the other end of the handoff was last heard of, ns.</summary>
    public long LastSign { get; set; }

    /// <summary>When the last block given to the data link will have left, ns: one leaves after the other.</summary>
    public long SendsEndAt { get; set; }

    /// <summary>On its way to another worker; null while it is not.</summary>
    public OutgoingMove? Move { get; set; }

    /// <summary>It came, or comes, by migration; null otherwise.</summary>
    public MigrationTarget? Arriving { get; set; }

    /// <summary>Grows when the sequence is stopped: steps that were scheduled before are void.</summary>
    public int Turn { get; set; }

    /// <summary>A migration has stopped it, or has not brought everything yet.</summary>
    public bool IsFrozen => Move is { State.MayCompute: false }
        || Arriving is { Stage: not MigrationStage.Committed };

    public int OutputTokens => Tokens.Count - Start.Prompt.Length;

    public bool IsDone => OutputTokens >= Start.MaxOutputTokens;
}

/// <summary>The source's side of one migration.</summary>
/// <param name="target">The sequence that is to take over.</param>
/// <param name="link">Made by the target.</param>
/// <param name="knownTokens">Tokens that the target knows; the tail brings those behind them.</param>
internal sealed class OutgoingMove(WorkerSequence target, SimulatedLink link, int knownTokens)
{
    public WorkerSequence Target { get; } = target;

    public SimulatedLink Link { get; } = link;

    public int KnownTokens { get; } = knownTokens;

    public required MigrationSource State { get; set; }

    /// <summary>When the target was last heard of, ns.</summary>
    public long LastSign { get; set; }

    /// <summary>Sends that have yet to read their block: counted here too, to check the machine.</summary>
    public int Sending { get; set; }
}
