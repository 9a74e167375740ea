namespace Krewe.Cli;

/// <summary>One round of one layer: all prompts, then steps of one token for each sequence.</summary>
/// <param name="PrefillSeconds">Until the last sequence has its first token.</param>
/// <param name="StepMs">Time of each decode step.</param>
/// <param name="AllocatedBytes">Managed bytes, of all threads, over the decode steps.</param>
internal sealed record BenchRound(double PrefillSeconds, double[] StepMs, long AllocatedBytes)
{
    public double DecodeSeconds => StepMs.Sum() / 1e3;
}

/// <summary>Times and allocations of the decode steps of one round; holds all it needs before they begin.</summary>
internal sealed class StepClock(int steps, TimeProvider time)
{
    private readonly double[] _stepMs = new double[steps];

    public BenchRound Run(Action prefill, Action<int> decode)
    {
        var begun = time.GetTimestamp();
        prefill();
        var prefillSeconds = time.GetElapsedTime(begun).TotalSeconds;
        var allocated = GC.GetTotalAllocatedBytes(precise: true);
        for (var step = 0; step < steps; step++)
        {
            begun = time.GetTimestamp();
            decode(step);
            _stepMs[step] = time.GetElapsedTime(begun).TotalMilliseconds;
        }

        return new BenchRound(prefillSeconds, _stepMs, GC.GetTotalAllocatedBytes(precise: true) - allocated);
    }
}
