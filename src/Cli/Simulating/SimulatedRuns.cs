using System.Diagnostics;
using Krewe.Simulation;
using Spectre.Console;

namespace Krewe.Cli;

/// <summary>Runs simulations side by side, one a processor, with a progress bar over all their requests.</summary>
internal static class SimulatedRuns
{
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(200);

    public static void RunAll(SimulatedRun[] runs, Terminal terminal, CancellationToken cancellation)
    {
        var simulators = new CellSimulator?[runs.Length];
        var done = new long[runs.Length];
        var parallel = new ParallelOptions
        {
            CancellationToken = cancellation,
            MaxDegreeOfParallelism = Environment.ProcessorCount,
        };
        terminal.AnsiError().Progress().Start(progress =>
        {
            var task = progress.AddTask("requests", maxValue: runs.Sum(r => (long)r.Trace.Count));
            using var timer = new Timer(_ => task.Value = Count(simulators, done), null, Look, Look);
            Parallel.For(0, runs.Length, parallel, i =>
            {
                var watch = Stopwatch.StartNew();
                var simulator = new CellSimulator(runs[i].Options, runs[i].Trace);
                Volatile.Write(ref simulators[i], simulator);
                runs[i].Report = simulator.Run(cancellation);
                runs[i].WallSeconds = watch.Elapsed.TotalSeconds;

                // The simulator holds every worker's pools: let go of it as soon as its report is there.
                Volatile.Write(ref done[i], runs[i].Trace.Count);
                Volatile.Write(ref simulators[i], null);
            });
            task.Value = task.MaxValue;
        });
    }

    private static double Count(CellSimulator?[] simulators, long[] done)
    {
        var ended = 0.0;
        for (var i = 0; i < simulators.Length; i++)
            ended += Volatile.Read(ref simulators[i])?.Ended ?? Volatile.Read(ref done[i]);
        return ended;
    }
}
