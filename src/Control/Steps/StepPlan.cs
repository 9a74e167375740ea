namespace Krewe.Control.Steps;

/// <summary>Rows that one sequence computes in the step, from its first uncomputed token on.</summary>
public readonly record struct PlannedRows(int Handle, int Rows);

/// <summary>
/// What one step does, in this order: preempt, admit, compute. Reused from step to step. When the engine follows it, no
/// allocation can fail.
/// </summary>
public sealed class StepPlan
{
    /// <summary>Sequences that lose their blocks, keep their tokens, and wait again.</summary>
    public List<int> Preempted { get; } = [];

    /// <summary>
    /// Those of <see cref="Preempted"/> whose blocks are worth copying to the tier below before they go.
    /// </summary>
    public List<int> Spilled { get; } = [];

    /// <summary>
    /// Waiting sequences that take blocks for all their known tokens now. Rows = 0: admitted by reserving alone (its KV
    /// is pulled).
    /// </summary>
    public List<PlannedRows> Admitted { get; } = [];

    /// <summary>Rows of sequences that ran before this step: decodes first, each list in its order.</summary>
    public List<PlannedRows> Continued { get; } = [];

    /// <summary>True when the step does nothing at all.</summary>
    public bool IsEmpty => Preempted.Count == 0 && Admitted.Count == 0 && Continued.Count == 0;

    internal void Clear()
    {
        Preempted.Clear();
        Spilled.Clear();
        Admitted.Clear();
        Continued.Clear();
    }
}
