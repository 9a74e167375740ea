using System.Diagnostics;
using Krewe.Simulation.Faults;
using Xunit.Abstractions;

namespace Krewe.Simulation.Tests.Faults;

public sealed class Machines_hold_under_faults(ITestOutputHelper output)
{
    // A million seeds with KREWE_LONG_TESTS (as krewe simulate faults --seed 1 --runs 1000000 does), else a sample.
    private const ulong SampledSeeds = 1_000_000;
    private const int FewestSamples = 1_000;

    private const int Seeds = 2_000;

    private static readonly bool IsLong = Environment.GetEnvironmentVariable("KREWE_LONG_TESTS") == "1";

    private static readonly int Samples = IsLong ? (int)SampledSeeds : 10_000;

    private static readonly TimeSpan SamplingTime = TimeSpan.FromSeconds(IsLong ? 3600 : 30);

    [Fact]
    public void Every_sampled_seed_ends_in_the_right_tokens_or_one_clean_error_and_nothing_is_held()
    {
        var watch = Stopwatch.StartNew();
        var (runs, finished, failed, cancelled, attempts, migrations) = (0, 0, 0, 0, 0, 0);
        Parallel.For(0, Samples, (sample, loop) =>
        {
            // The fewest are run whatever the time: a slow machine proves as much, later.
            if (watch.Elapsed > SamplingTime && Volatile.Read(ref runs) >= FewestSamples)
            {
                loop.Stop();
                return;
            }

            // A step that shares no factor with the range visits every part of it early.
            var result = RunSeed(1 + ((ulong)sample * 618_033 % SampledSeeds));
            Interlocked.Increment(ref runs);
            Interlocked.Add(ref finished, result.Finished);
            Interlocked.Add(ref failed, result.Failed);
            Interlocked.Add(ref cancelled, result.Cancelled);
            Interlocked.Add(ref attempts, result.Attempts);
            Interlocked.Add(ref migrations, result.Migrations);
        });

        output.WriteLine(
            $"{runs} seeds: {finished} finished, {failed} failed, {cancelled} cancelled, {attempts} attempts, "
            + $"{migrations} migrations");
        Assert.True(runs >= FewestSamples, $"only {runs} seeds in {SamplingTime}");

        // The faults must bite, and most requests must survive them: otherwise this proves nothing.
        Assert.True(attempts > (finished + failed + cancelled) * 11 / 10, $"only {attempts} attempts");

        // A wish that finds nothing to move, no room, or a fault on the way comes to nothing.
        Assert.True(migrations > finished / 20, $"only {migrations} migrations of {finished} requests");

        // About one in seven ends in a clean error: a plan may crash, part and stall everything there is.
        Assert.True(finished > 4 * failed, $"{finished} finished, {failed} failed");
    }

    [Fact]
    public void Without_faults_every_request_finishes_at_the_first_attempt()
    {
        for (var seed = 1UL; seed <= 200; seed++)
        {
            var calm = FaultPlan.Draw(seed) with
            {
                LossPerMille = 0,
                DuplicatePerMille = 0,
                ReorderPerMille = 0,
                CancelPerMille = 0,
                Crashes = 0,
                Stalls = 0,
                LinkCuts = 0,
                Partitions = 0,
                DiskSlowPerMille = 0,
                DiskFailPerMille = 0,
            };
            var result = FaultSimulator.Run(calm, FaultDefect.None);
            Assert.Equal((calm.Requests, calm.Requests), (result.Finished, result.Attempts));
        }
    }

    [Fact]
    public void One_seed_gives_one_run() => Assert.Equal(FaultSimulator.Run(42), FaultSimulator.Run(42));

    [Theory]
    [InlineData(FaultDefect.OwnerForgetsEpochs)]
    [InlineData(FaultDefect.SourceFreesWhileSending)]
    [InlineData(FaultDefect.WorkerKeepsAborted)]
    [InlineData(FaultDefect.LeasesAreKept)]
    [InlineData(FaultDefect.TornBlocksAreServed)]
    [InlineData(FaultDefect.FrozenSourceComputes)]
    [InlineData(FaultDefect.GrowingBlockTravels)]
    [InlineData(FaultDefect.TargetCommitsEarly)]
    public void A_deliberate_defect_is_caught(FaultDefect defect)
    {
        for (var seed = 1UL; seed <= Seeds; seed++)
        {
            try
            {
                FaultSimulator.Run(FaultPlan.Draw(seed), defect);
            }
            catch (Exception error) when (error is FaultViolationException or Control.Kv.IntegrityException)
            {
                output.WriteLine($"caught at seed {seed}: {error.Message}");
                return;
            }
        }

        Assert.Fail($"{defect} went unnoticed through {Seeds} seeds.");
    }

    private static FaultResult RunSeed(ulong seed)
    {
        try
        {
            return FaultSimulator.Run(seed);
        }
        catch (Exception error)
        {
            throw new InvalidOperationException($"Seed {seed}, {FaultPlan.Draw(seed)}: {error.Message}", error);
        }
    }
}
