namespace Krewe.Simulation.Faults;

/// <summary>The fault model of one run: everything that was drawn from the seed before anything happened.</summary>
public sealed record FaultPlan
{
    public required ulong Seed { get; init; }

    public required int Requests { get; init; }

    public required int PrefillWorkers { get; init; }

    public required int DecodeWorkers { get; init; }

    public required int MixedWorkers { get; init; }

    /// <summary>KV blocks of each worker; every request fits alone.</summary>
    public required int BlocksPerWorker { get; init; }

    public required int PromptTokensMax { get; init; }

    public required int OutputTokensMax { get; init; }

    /// <summary>Requests arrive within this time.</summary>
    public required int ArrivalMs { get; init; }

    public required int DelayMsMax { get; init; }

    public required int LossPerMille { get; init; }

    public required int DuplicatePerMille { get; init; }

    /// <summary>Of a message: it overtakes or is overtaken, by up to ten times the usual delay.</summary>
    public required int ReorderPerMille { get; init; }

    /// <summary>Of a request: its client goes away at a random moment.</summary>
    public required int CancelPerMille { get; init; }

    /// <summary>kill -9 of a random worker; it comes back after a while.</summary>
    public required int Crashes { get; init; }

    /// <summary>SIGSTOP of a random worker for up to three silence limits.</summary>
    public required int Stalls { get; init; }

    /// <summary>Cuts of the connection between the silo and a random worker.</summary>
    public required int LinkCuts { get; init; }

    /// <summary>
    /// Of a random worker's control link, or of the way between two workers: nothing passes for a while, then
    /// everything does that a connection still stands for.
    /// </summary>
    public required int Partitions { get; init; }

    /// <summary>Blocks that each worker's disk holds for reuse; 0 = no disk.</summary>
    public required int DiskBlocks { get; init; }

    /// <summary>Of a disk access: it takes a hundred times as long.</summary>
    public required int DiskSlowPerMille { get; init; }

    /// <summary>Of a disk access: it fails, or what a crash cut short is found torn.</summary>
    public required int DiskFailPerMille { get; init; }

    /// <summary>
    /// Of a token that the owner took, and of a dispatch: somebody wants the sequence on a random worker soon after.
    /// </summary>
    public required int MovePerMille { get; init; }

    /// <summary>Draws a plan; about one in eight has no faults at all, so that the model itself stays honest.</summary>
    public static FaultPlan Draw(ulong seed)
    {
        var random = new SeededRandom(seed);
        var calm = random.Chance(125);
        int Fault(int most) => calm || random.Chance(300) ? 0 : random.Between(0, most);
        return new FaultPlan
        {
            Seed = seed,
            Requests = random.Between(1, 12),
            PrefillWorkers = random.Between(1, 2),
            DecodeWorkers = random.Between(1, 3),
            MixedWorkers = random.Chance(200) ? 1 : 0,
            BlocksPerWorker = random.Between(12, 40),
            PromptTokensMax = random.Between(1, 120),
            OutputTokensMax = random.Between(1, 100),
            ArrivalMs = random.Between(1, 2_000),
            DelayMsMax = random.Between(1, 20),
            LossPerMille = Fault(30),
            DuplicatePerMille = Fault(50),
            ReorderPerMille = Fault(50),
            CancelPerMille = Fault(300),
            Crashes = Fault(4),
            Stalls = Fault(3),
            LinkCuts = Fault(3),
            Partitions = Fault(3),
            DiskBlocks = random.Chance(500) ? random.Between(1, 60) : 0,
            DiskSlowPerMille = Fault(200),
            DiskFailPerMille = Fault(100),
            MovePerMille = random.Chance(300) ? 0 : random.Between(0, 200),
        };
    }
}
