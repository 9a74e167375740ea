using Krewe.Abstractions;
using Krewe.Control.Handoff;
using Krewe.Control.Kv;

namespace Krewe.Simulation.Faults;

/// <summary>What one worker does of an attempt.</summary>
internal enum SequencePart
{
    Prefill,
    Decode,
    Whole,
}

/// <summary>One start command.</summary>
/// <param name="Key">The attempt.</param>
/// <param name="Part">What the worker does of it.</param>
/// <param name="Prompt">Prompt tokens.</param>
/// <param name="Output">Output tokens that the owner has accepted in earlier epochs.</param>
/// <param name="MaxOutputTokens">Of the whole stream.</param>
/// <param name="SourceId">Decode only: the prefill worker.</param>
internal sealed record StartCommand(
    SequenceKey Key, SequencePart Part, int[] Prompt, int[] Output, int MaxOutputTokens, string? SourceId);

/// <summary>One sequence on a simulated worker.</summary>
internal sealed class WorkerSequence(StartCommand start)
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

    /// <summary>The worker it is on; set with a target, which is called back over the link.</summary>
    public SimulatedWorker? Owner { get; set; }

    /// <summary>The other end of the data link.</summary>
    public WorkerSequence? Peer { get; set; }

    /// <summary>When the other end of the handoff was last heard of, ns.</summary>
    public long LastSign { get; set; }

    /// <summary>When the last block given to the data link will have left, ns: one leaves after the other.</summary>
    public long SendsEndAt { get; set; }

    public int OutputTokens => Tokens.Count - Start.Prompt.Length;

    public bool IsDone => OutputTokens >= Start.MaxOutputTokens;
}
