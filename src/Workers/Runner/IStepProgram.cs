namespace Krewe.Workers;

/// <summary>
/// Work in phases that follow each other, each in as many shares as there are threads. No share of a phase begins
/// before all of the phase before are done; what one writes, all of the next phase may read. Any thread may run any
/// share.
/// </summary>
internal interface IStepProgram
{
    int PhaseCount { get; }

    /// <param name="phase">0 .. PhaseCount - 1.</param>
    /// <param name="share">0 .. threads - 1.</param>
    void RunPhase(int phase, int share);
}
