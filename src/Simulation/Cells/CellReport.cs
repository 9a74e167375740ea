namespace Krewe.Simulation;

/// <summary>What one run came to.</summary>
public sealed record CellReport
{
    public required string Trace { get; init; }

    public required string Policy { get; init; }

    public required CellMode Mode { get; init; }

    public required string Costs { get; init; }

    public required int PrefillWorkers { get; init; }

    public required int DecodeWorkers { get; init; }

    public required int Gpus { get; init; }

    public required ulong Seed { get; init; }

    public required ServiceLevel Slo { get; init; }

    public required int Requests { get; init; }

    public required int Rejected { get; init; }

    /// <summary>Arrivals a second, over the trace's span.</summary>
    public required double RatePerSecond { get; init; }

    /// <summary>Share of all requests that met both limits; a refused one met none.</summary>
    public required double Attainment { get; init; }

    /// <summary>Share of all requests whose first token came in time, and whose further ones did.</summary>
    public required double TtftAttainment { get; init; }

    public required double TpotAttainment { get; init; }

    /// <summary>Requests a second that met both limits.</summary>
    public double Goodput => Attainment * RatePerSecond;

    public double GoodputPerGpu => Goodput / Gpus;

    /// <summary>Of those that were served, ms.</summary>
    public required Percentiles TtftMs { get; init; }

    public required Percentiles TpotMs { get; init; }

    public required Percentiles TotalMs { get; init; }

    /// <summary>Share of prompt tokens of served requests that the prefill worker's cache had.</summary>
    public required double HitRate { get; init; }

    public required int Preemptions { get; init; }

    public required double OutputTokensPerSecond { get; init; }

    /// <summary>Share of the time that workers computed.</summary>
    public required double PrefillBusy { get; init; }

    public required double DecodeBusy { get; init; }

    /// <summary>KV that travelled between workers, bytes.</summary>
    public required double CarriedBytes { get; init; }

    public required double VirtualSeconds { get; init; }

    public required long Events { get; init; }

    public required long Steps { get; init; }

    /// <summary>In the order of the trace.</summary>
    public required IReadOnlyList<CellOutcome> Outcomes { get; init; }
}
