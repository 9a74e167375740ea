namespace Krewe.Simulation.Faults;

/// <summary>What one seed did: for the summary of many.</summary>
public sealed record FaultResult(
    FaultPlan Plan, int Finished, int Failed, int Cancelled, int Attempts, int Migrations, long Actions);

/// <summary>
/// Runs the production machines (requests, leases, routing, handoff, migration, block pool) under faults in virtual
/// time. First a safety phase with faults, checked all along; then a liveness phase in which everything must come to
/// its end.
/// </summary>
public static class FaultSimulator
{
    private const long SafetyNs = 20_000 * FaultWorld.Millisecond;
    private const long LivenessNs = 300_000 * FaultWorld.Millisecond;

    /// <summary>One run; the seed alone decides it. Throws <see cref="FaultViolationException"/>.</summary>
    public static FaultResult Run(ulong seed) => Run(FaultPlan.Draw(seed), FaultDefect.None);

    /// <summary>One run with a deliberate defect: the checkers' positive control.</summary>
    public static FaultResult Run(FaultPlan plan, FaultDefect defect)
    {
        var world = new FaultWorld(plan, defect);
        foreach (var worker in world.Workers) world.Silo.Attach(worker);
        ScheduleRequests(world);
        ScheduleFaults(world);
        var actions = Advance(world, SafetyNs);
        world.Faulty = false;
        actions += Advance(world, LivenessNs);
        Check(world);
        return Summarize(world, actions);
    }

    private static void ScheduleRequests(FaultWorld world)
    {
        var plan = world.Plan;
        var prompts = new List<int[]>();
        for (var i = 0; i < plan.Requests; i++)
        {
            var room = (plan.BlocksPerWorker - 1) * FaultWorld.BlockTokens;
            var output = world.Random.Between(1, Math.Min(plan.OutputTokensMax, room / 2));
            var prompt = new int[world.Random.Between(1, Math.Min(plan.PromptTokensMax, room - output))];
            for (var t = 0; t < prompt.Length; t++) prompt[t] = world.Random.Between(0, 999);

            // Some share a prefix with an earlier one: the only way to find another's block on a disk.
            if (prompts.Count > 0 && world.Random.Chance(500))
            {
                var shared = prompts[world.Random.Between(0, prompts.Count - 1)];
                shared.AsSpan(0, Math.Min(shared.Length, prompt.Length)).CopyTo(prompt);
            }

            prompts.Add(prompt);
            var request = new SimulatedRequest($"r{i}", prompt, output);
            var arrival = world.Random.Between(0, plan.ArrivalMs) * FaultWorld.Millisecond;
            world.Events.At(arrival, () => world.Silo.Begin(request));
            if (!world.Random.Chance(plan.CancelPerMille)) continue;
            var patience = world.Random.Between(0, 500) * FaultWorld.Millisecond;
            world.Events.At(arrival + patience, () => world.Silo.Cancel(request));
        }
    }

    private static void ScheduleFaults(FaultWorld world)
    {
        var plan = world.Plan;
        void Some(int count, Action<SimulatedWorker> fault)
        {
            for (var i = 0; i < count; i++)
            {
                var worker = world.Workers[world.Random.Between(0, world.Workers.Count - 1)];
                var at = world.Random.Between(0, plan.ArrivalMs + 500) * FaultWorld.Millisecond;
                world.Events.At(at, () => fault(worker));
            }
        }

        Some(plan.Crashes, worker =>
        {
            // A third of them wait for the worst moment of a disk: in the middle of its writes.
            if (plan.DiskBlocks > 0 && world.Random.Chance(333)) worker.CrashWhileWriting = true;
            else worker.Crash();
        });
        Some(plan.Stalls, worker => worker.Stall(world.Random.Between(50, 9_000) * FaultWorld.Millisecond));
        Some(plan.LinkCuts, worker =>
        {
            if (worker.Control is null) return;
            world.Silo.LinkLost(worker, Abstractions.ErrorCode.WorkerLost);
            worker.Local(5 * FaultWorld.Millisecond, worker.DropAndReconnect);
        });
        Some(plan.Partitions, worker =>
        {
            // Half of them between silo and worker, half between two workers.
            var ns = world.Random.Between(50, 9_000) * FaultWorld.Millisecond;
            if (world.Random.Chance(500)) worker.Isolate(ns);
            else world.Part(worker.Id, world.Workers[world.Random.Between(0, world.Workers.Count - 1)].Id, ns);
        });
    }

    private static long Advance(FaultWorld world, long untilNs)
    {
        var actions = 0L;
        while (world.Events.NextTime is { } next && next <= untilNs)
        {
            world.Events.Step();
            // Often enough to find a leak near its cause, seldom enough to cost little.
            if (++actions % 256 == 0) CheckPools(world);
        }

        return actions;
    }

    private static void CheckPools(FaultWorld world)
    {
        foreach (var worker in world.Workers) worker.CheckIntegrity();
    }

    /// <summary>After the liveness phase: one end each, and nothing held anywhere.</summary>
    private static void Check(FaultWorld world)
    {
        CheckPools(world);
        foreach (var request in world.Silo.Requests)
        {
            if (request.Endings != 1)
                throw Violation($"{request.Id} ended {request.Endings} times; it is {request.State.Phase}.");
            if (request.State.Outcome == Abstractions.RequestOutcome.Finished
                && request.Stream.Count != request.MaxOutputTokens)
                throw Violation($"{request.Id} finished with {request.Stream.Count} of {request.MaxOutputTokens}.");
        }

        foreach (var worker in world.Workers)
        {
            if (worker.SequenceCount > 0 || worker.Pool.PinnedBlocks > 0)
            {
                throw Violation(
                    $"{worker.Id} still holds {worker.SequenceCount} sequences and {worker.Pool.PinnedBlocks} blocks.");
            }
        }

        foreach (var table in world.Silo.Leases)
        {
            table.CheckIntegrity();
            if (table.Count > 0) throw Violation($"The lease of {table.Leases[0].Key} was never given back.");
        }
    }

    private static FaultViolationException Violation(string message) => new(message);

    private static FaultResult Summarize(FaultWorld world, long actions)
    {
        int Count(Abstractions.RequestOutcome outcome) => world.Silo.Requests.Count(r => r.State.Outcome == outcome);
        return new FaultResult(
            world.Plan, Count(Abstractions.RequestOutcome.Finished), Count(Abstractions.RequestOutcome.Failed),
            Count(Abstractions.RequestOutcome.Cancelled), world.Silo.Requests.Sum(r => r.State.Attempts),
            world.Silo.Requests.Sum(r => r.State.Migrations), actions);
    }
}
