namespace Krewe.Workers;

/// <summary>
/// Work in phases that follow each other: every thread runs its part of a phase, and none enters the next before all
/// have left. What a thread writes in one phase all threads may read in the next.
/// </summary>
internal interface IStepProgram
{
    int PhaseCount { get; }

    /// <param name="phase">0 .. PhaseCount - 1.</param>
    /// <param name="thread">Which part, 0 .. threads - 1.</param>
    void RunPhase(int phase, int thread);
}
