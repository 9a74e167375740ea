namespace Krewe.Simulation;

/// <summary>How a cell's workers share the two phases.</summary>
public enum CellMode
{
    /// <summary>Prefill and decode on different workers; KV travels between them.</summary>
    Disagg,

    /// <summary>
    /// Every worker does both; whole prompts run in steps of their own, decodes wait meanwhile (vLLM before chunking).
    /// </summary>
    Coloc,

    /// <summary>Every worker does both; prompts are computed in chunks beside the decodes (Sarathi-Serve).</summary>
    Chunked,

    /// <summary>
    /// Every worker does both at once on shares of one GPU, with one KV pool (Nexus, semi-PD): no KV travels.
    /// </summary>
    Split,
}

/// <summary>One cell: its workers, how they are built, and what is asked of it.</summary>
public sealed record CellOptions
{
    public required CellMode Mode { get; init; }

    /// <summary>What every worker runs on.</summary>
    public required Deployment Deployment { get; init; }

    /// <summary>Step times; null takes the best there is for the deployment (<see cref="CostModels"/>).</summary>
    public IStepCost? Cost { get; init; }

    /// <summary>Prefill workers; in the modes without roles they only add to the count.</summary>
    public int PrefillWorkers { get; init; } = 1;

    public int DecodeWorkers { get; init; } = 1;

    public string Policy { get; init; } = "least-loaded";

    public ulong Seed { get; init; } = 1;

    public int BlockTokens { get; init; } = 16;

    /// <summary>Most rows of a step of a decode, mixed or split worker.</summary>
    public int StepBudgetTokens { get; init; } = 2048;

    /// <summary>Most rows of a prefill worker's step: nobody decodes beside it, so it may be long.</summary>
    public int PrefillBudgetTokens { get; init; } = 8192;

    public int MaxRunningSequences { get; init; } = 256;

    /// <summary>KV tokens of one worker; null follows from the deployment's memory.</summary>
    public int? CapacityTokens { get; init; }

    public bool PrefixCache { get; init; } = true;

    /// <summary>KV bytes a second into and out of each worker; null takes the GPUs' network share.</summary>
    public double? NetworkBytesPerSecond { get; init; }

    /// <summary>From the last block's arrival to the first decode step: commit and its acknowledgement.</summary>
    public long HandoffLatencyNs { get; init; } = 2_000_000;

    /// <summary>A worker's load report is at most this old when routing reads it.</summary>
    public long ReportIntervalNs { get; init; } = 100_000_000;

    /// <summary>
    /// Share of the GPU's processors for prefill in <see cref="CellMode.Split"/>; decode has the rest.
    /// </summary>
    public double PrefillShare { get; init; } = 0.6;

    /// <summary>
    /// With a number, that many clients send the trace's requests one after the other: the next one when one has ended.
    /// </summary>
    public int? ClosedLoopClients { get; init; }

    /// <summary>Workers that go and come, in order of time.</summary>
    public IReadOnlyList<WorkerOutage> Outages { get; init; } = [];

    public ServiceLevel Slo { get; init; } = new(2, 0.05);

    public int Workers => PrefillWorkers + DecodeWorkers;

    public int Gpus => Workers * Deployment.Gpus;

    /// <summary>Throws <see cref="SimulationException"/> naming what is wrong and what would be right.</summary>
    public void Check()
    {
        if (Mode == CellMode.Disagg && (PrefillWorkers < 1 || DecodeWorkers < 1))
            throw new SimulationException("Mode disagg needs at least one prefill and one decode worker.");
        if (Workers < 1) throw new SimulationException("The cell has no worker.");
        if (BlockTokens < 1 || BlockTokens > 4096)
            throw new SimulationException($"A block of {BlockTokens} tokens; it must be 1 to 4096.");
        if (StepBudgetTokens < 1 || PrefillBudgetTokens < 1 || MaxRunningSequences < 1)
            throw new SimulationException("A step needs a budget of at least one token and one sequence.");
        if (PrefillShare is not (> 0 and < 1))
            throw new SimulationException("The prefill share of a split GPU lies between 0 and 1, both excluded.");
        foreach (var outage in Outages)
        {
            if (outage.Worker < 0 || outage.Worker >= Workers)
                throw new SimulationException($"Worker {outage.Worker} goes or comes, but the cell has {Workers}.");
        }

        if (ClosedLoopClients is < 1) throw new SimulationException("A closed loop needs at least one client.");
        if (Deployment.PipelineParallel != 1)
        {
            throw new SimulationException(
                "The cell simulator runs one pipeline stage a worker; pipelines are in 'krewe plan' and "
                + "'krewe simulate distserve'.");
        }
    }
}

/// <summary>What a request must meet to count.</summary>
/// <param name="TtftSeconds">Time to first token, at most.</param>
/// <param name="TpotSeconds">Mean time per output token after the first, at most.</param>
public readonly record struct ServiceLevel(double TtftSeconds, double TpotSeconds);
