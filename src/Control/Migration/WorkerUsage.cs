using Krewe.Abstractions;

namespace Krewe.Control.Migration;

/// <summary>One decode worker as migration sees it. Blocks are KV blocks of its pool.</summary>
public sealed record WorkerUsage
{
    public required WorkerIncarnation Worker { get; init; }

    public required int TotalBlocks { get; init; }

    /// <summary>Blocks that sequences and leases hold (blocks of the prefix cache alone are free).</summary>
    public required int UsedBlocks { get; init; }

    /// <summary>Sequences that decode or prefill there.</summary>
    public required int RunningSequences { get; init; }

    /// <summary>
    /// Blocks that the first queued request wants and the pool does not have: what waits behind it is not counted, or a
    /// long queue would empty the worker for nothing.
    /// </summary>
    public int HeadOfLineBlocks { get; init; }

    /// <summary>Priority of the most urgent sequence there, running or first in the queue; 0 = all are
    /// ordinary.</summary>
    public int PriorityMax { get; init; }

    /// <summary>It is being emptied: a fake request of infinite demand runs there (Llumnix).</summary>
    public bool IsDraining { get; init; }

    /// <summary>Takes sequences. A cordoned worker does not, and need not be empty.</summary>
    public bool TakesSequences { get; init; } = true;

    /// <summary>A sequence moves only between workers whose numerics are equal: else its bits would change.</summary>
    public string Numerics { get; init; } = "";

    /// <summary>Migrations under way, either direction.</summary>
    public int Migrations { get; init; }

    public int FreeBlocks => TotalBlocks - UsedBlocks;
}
