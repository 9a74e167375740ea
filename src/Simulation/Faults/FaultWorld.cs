using Krewe.Abstractions;

namespace Krewe.Simulation.Faults;

/// <summary>One run: a silo, its workers, their links and the faults, in virtual time (integer ns).</summary>
internal sealed class FaultWorld
{
    public const long Millisecond = 1_000_000;
    public const int BlockTokens = 16;

    private static readonly DateTimeOffset Epoch = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    public FaultWorld(FaultPlan plan, FaultDefect defect)
    {
        Plan = plan;
        Defect = defect;
        // Drawing goes on behind the plan's own draws.
        Random = new SeededRandom(SeededRandom.Mix(plan.Seed ^ 0xFA17));
        Silo = new SimulatedSilo(this);
        AddWorkers("prefill", WorkerRole.Prefill, plan.PrefillWorkers);
        AddWorkers("decode", WorkerRole.Decode, plan.DecodeWorkers);
        AddWorkers("mixed", WorkerRole.Mixed, plan.MixedWorkers);
    }

    public FaultPlan Plan { get; }

    public FaultDefect Defect { get; }

    public SeededRandom Random { get; }

    public EventSchedule<long> Events { get; } = new();

    public ClusterOptions Cluster { get; } = new() { RequestTimeout = TimeSpan.FromSeconds(60) };

    public SimulatedSilo Silo { get; }

    public List<SimulatedWorker> Workers { get; } = [];

    /// <summary>True in the safety phase; in the liveness phase what was broken must heal.</summary>
    public bool Faulty { get; set; } = true;

    /// <summary>Pairs between which nothing passes, and until when.</summary>
    public Dictionary<(string, string), long> Partitions { get; } = [];

    public long Now => Events.Now;

    /// <summary>When the way between two processes is open again; a time that has passed when it is now.</summary>
    public long HealedAt(string one, string other) => Partitions.GetValueOrDefault(Pair(one, other));

    /// <summary>Lets nothing pass between two processes for so long.</summary>
    public void Part(string one, string other, long ns) =>
        Partitions[Pair(one, other)] = Math.Max(HealedAt(one, other), Now + ns);

    private static (string, string) Pair(string one, string other) =>
        string.CompareOrdinal(one, other) < 0 ? (one, other) : (other, one);

    public DateTimeOffset UtcNow => Epoch.AddTicks(Now / 100);

    public long At(DateTimeOffset time) => Math.Max(Now, (time - Epoch).Ticks * 100);

    public SimulatedWorker Worker(string id) => Workers.Single(w => w.Id == id);

    public void After(long ns, Action action) => Events.At(Now + ns, action);

    private void AddWorkers(string name, WorkerRole role, int count)
    {
        for (var i = 0; i < count; i++) Workers.Add(new SimulatedWorker(this, $"{name}-{i}", role));
    }
}
