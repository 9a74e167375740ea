namespace Krewe.Simulation;

/// <summary>What became of one request. Times in ns; 32 bytes, so that a million take 32 MB.</summary>
/// <param name="TtftNs">Arrival to first token.</param>
/// <param name="TotalNs">Arrival to last token.</param>
/// <param name="OutputTokens">Tokens of its stream; 0 = refused at the door.</param>
/// <param name="HitTokens">Prompt tokens that the prefill worker's cache had.</param>
/// <param name="Preemptions">Times that it lost its blocks and computed them again.</param>
public readonly record struct CellOutcome(
    long TtftNs, long TotalNs, int OutputTokens, int HitTokens, int Preemptions)
{
    public bool Rejected => OutputTokens == 0;

    public double TtftSeconds => TtftNs / 1e9;

    /// <summary>Mean time per output token after the first, s; 0 with a single token.</summary>
    public double TpotSeconds => OutputTokens > 1 ? (TotalNs - TtftNs) / 1e9 / (OutputTokens - 1) : 0;

    public bool Meets(ServiceLevel slo) =>
        !Rejected && TtftSeconds <= slo.TtftSeconds && TpotSeconds <= slo.TpotSeconds;
}
