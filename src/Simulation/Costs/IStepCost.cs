namespace Krewe.Simulation;

/// <summary>How long steps take on one worker (a model over some GPUs), and how much KV it holds. Pure.</summary>
public interface IStepCost
{
    /// <summary>Where its numbers come from, for reports.</summary>
    string Source { get; }

    /// <summary>Seconds of one step.</summary>
    double StepSeconds(in StepLoad load);

    /// <summary>
    /// Seconds of attention in one layer for a prefill chunk of <paramref name="rows"/> over <paramref name="past"/>.
    /// </summary>
    double PrefillAttentionSeconds(int rows, int past);
}
