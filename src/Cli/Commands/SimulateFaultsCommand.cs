using System.CommandLine;
using System.Diagnostics;
using Krewe.Control.Kv;
using Krewe.Simulation.Faults;
using Spectre.Console;

namespace Krewe.Cli;

/// <summary>
/// <c>krewe simulate faults</c>: the production machines under faults, one run a seed. The first violation ends it with
/// the seed and what was drawn from it, which is all that is needed to see it again.
/// </summary>
internal sealed class SimulateFaultsCommand : Command
{
    private const int SeedsPerTick = 256;

    private readonly UsualOption<int> _seed = Setting.Count("--seed", "First seed.", 1, 0);
    private readonly UsualOption<int> _runs = Setting.Count("--runs", "Seeds to run, one after the other.", 1000, 1);
    private readonly Terminal _terminal;

    public SimulateFaultsCommand(Terminal terminal)
        : base("faults", "Run requests, leases, handoffs and migrations under crashes, stalls, cuts and lost messages.")
    {
        _terminal = terminal;
        Add(_seed);
        Add(_runs);
        SetAction(Run);
    }

    private int Run(ParseResult result)
    {
        var first = (ulong)_seed.Read(result);
        var runs = _runs.Read(result);
        if (runs == 1) _terminal.Out.WriteLine(FaultPlan.Draw(first));
        var watch = Stopwatch.StartNew();
        var total = new Totals();
        _terminal.Ansi().Progress().Start(progress =>
        {
            var task = progress.AddTask("seeds", maxValue: runs);
            Parallel.For(0, runs, run =>
            {
                var done = RunSeed(first + (ulong)run);
                if (total.Add(done) % SeedsPerTick == 0) task.Increment(SeedsPerTick);
            });
            task.Value = runs;
        });
        _terminal.Out.WriteLine(
            $"{total.Runs} runs from seed {first}, no violation: {total.Finished} requests finished, {total.Failed} "
            + $"ended in one clean error, {total.Cancelled} cancelled; {total.Attempts} attempts, {total.Migrations} "
            + $"migrations, "
            + $"{watch.Elapsed.TotalSeconds:0.0} s.");
        return ExitCode.Success;
    }

    private static FaultResult RunSeed(ulong seed)
    {
        try
        {
            return FaultSimulator.Run(seed);
        }
        catch (Exception violation) when (violation is FaultViolationException or IntegrityException)
        {
            throw new FaultViolationException($"Seed {seed}: {violation.Message}\nDrawn: {FaultPlan.Draw(seed)}");
        }
    }

    private sealed class Totals
    {
        private readonly Lock _lock = new();

        public long Runs { get; private set; }

        public long Finished { get; private set; }

        public long Failed { get; private set; }

        public long Cancelled { get; private set; }

        public long Attempts { get; private set; }

        public long Migrations { get; private set; }

        public long Add(FaultResult result)
        {
            lock (_lock)
            {
                Finished += result.Finished;
                Failed += result.Failed;
                Cancelled += result.Cancelled;
                Attempts += result.Attempts;
                Migrations += result.Migrations;
                return ++Runs;
            }
        }
    }
}
