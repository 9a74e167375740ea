namespace Krewe.Simulation.DistServe;

/// <summary>A request on its way through the stages. Times in ms.</summary>
internal sealed class SimulatedSequence(int index, double arrivalMs, int promptTokens, int outputTokens)
{
    public int Index { get; } = index;

    public double ArrivalMs { get; } = arrivalMs;

    public int PromptTokens { get; } = promptTokens;

    public int OutputTokens { get; } = outputTokens;

    public int DecodedTokens { get; set; }

    /// <summary>Which batch of stage 0 it travels with; later pipeline stages keep batches together.</summary>
    public long BatchTag { get; set; }

    public double? FirstTokenMs { get; set; }

    public double? ExitMs { get; set; }

    public int ContextTokens => PromptTokens + DecodedTokens;
}
