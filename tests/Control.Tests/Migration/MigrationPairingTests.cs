using System.Collections.Immutable;
using Krewe.Abstractions;
using Krewe.Control.Migration;

namespace Krewe.Control.Tests.Migration;

public sealed class MigrationPairingTests
{
    private static readonly MigrationPolicy Policy = new() { HeadroomBlocks = 40 };

    [Theory]
    [InlineData(100, 40, 10, 0, 0, 6.0)] // (100 - 40) / 10
    [InlineData(100, 40, 10, 80, 0, -2.0)] // a queued request of 80 blocks at the head of the line
    [InlineData(100, 40, 10, 0, 1, 2.0)] // headroom of 40 for a priority request, once
    [InlineData(100, 0, 0, 0, 0, 100.0)] // an empty worker: no division by zero
    public void Freeness_is_room_a_sequence_less_what_is_promised(
        int total, int used, int running, int headOfLine, int priority, double expected) => Assert.Equal(
        expected, Freeness.Of(
            Worker("a", total, used, running) with { HeadOfLineBlocks = headOfLine, PriorityMax = priority }, 40));

    [Fact]
    public void A_draining_worker_is_the_least_free_of_all() => Assert.Equal(
        double.NegativeInfinity, Freeness.Of(Worker("a", 100, 1, 1) with { IsDraining = true }, 0));

    [Fact]
    public void The_least_free_gives_to_the_freest()
    {
        var pairs = MigrationPairing.Pair(
        [
            Worker("a", 100, 95, 10), Worker("b", 100, 99, 10), Worker("c", 100, 20, 10), Worker("d", 100, 0, 1),
        ], Policy);
        Assert.Equal(["b->d", "a->c"], pairs.Select(Name));
    }

    [Fact]
    public void Between_the_two_thresholds_nobody_moves() => Assert.Empty(
        MigrationPairing.Pair([Worker("a", 100, 60, 10), Worker("b", 100, 55, 10)], Policy));

    [Fact]
    public void A_large_queued_request_makes_its_worker_a_giver()
    {
        ImmutableArray<WorkerUsage> workers = [Worker("a", 100, 60, 4), Worker("b", 100, 20, 4)];
        Assert.Empty(MigrationPairing.Pair(workers, Policy));
        workers = workers.SetItem(0, workers[0] with { HeadOfLineBlocks = 60 });
        Assert.Equal("a->b", Name(Assert.Single(MigrationPairing.Pair(workers, Policy))));
    }

    [Fact]
    public void A_priority_request_makes_room_around_itself()
    {
        ImmutableArray<WorkerUsage> workers = [Worker("a", 100, 60, 4), Worker("b", 100, 20, 4)];
        workers = workers.SetItem(0, workers[0] with { PriorityMax = 1 });
        Assert.Equal("a->b", Name(Assert.Single(MigrationPairing.Pair(workers, Policy))));
    }

    [Fact]
    public void A_drain_goes_to_workers_that_balance_would_leave_alone()
    {
        var draining = Worker("a", 100, 10, 2) with { IsDraining = true };
        var pair = Assert.Single(MigrationPairing.Pair([draining, Worker("b", 100, 50, 10)], Policy));
        Assert.Equal("a->b", Name(pair));
    }

    [Fact]
    public void Workers_of_other_numerics_cordoned_draining_or_busy_ones_take_nothing()
    {
        var giver = Worker("a", 100, 99, 10);
        var taker = Worker("b", 100, 0, 1);
        Assert.Single(MigrationPairing.Pair([giver, taker], Policy));
        Assert.Empty(MigrationPairing.Pair([giver, taker with { Numerics = "other" }], Policy));
        Assert.Empty(MigrationPairing.Pair([giver, taker with { TakesSequences = false }], Policy));
        Assert.Empty(MigrationPairing.Pair([giver, taker with { IsDraining = true, RunningSequences = 0 }], Policy));
        Assert.Empty(MigrationPairing.Pair([giver, taker with { Migrations = 2 }], Policy));
        Assert.Empty(MigrationPairing.Pair([giver with { Migrations = 2 }, taker], Policy));
    }

    [Fact]
    public void The_least_urgent_and_then_the_shortest_moves()
    {
        var pair = new MigrationPair(Worker("a", 100, 95, 5), Worker("b", 100, 0, 1), "");
        var chosen = MigrationPairing.Choose(pair,
        [
            new("long", 30, 0, true), new("short", 10, 0, true), new("urgent", 2, 1, true), new("new", 5, 0, false),
        ], Policy);
        Assert.Equal("short", chosen?.RequestId);
    }

    [Fact]
    public void Nothing_moves_that_would_only_turn_the_imbalance_round()
    {
        var pair = new MigrationPair(Worker("a", 100, 98, 2), Worker("b", 100, 60, 2), "");
        Assert.Null(MigrationPairing.Choose(pair, [new("huge", 90, 0, true)], Policy));
        Assert.Null(MigrationPairing.Choose(pair, [new("fits but fills", 39, 0, true)], Policy));
        Assert.NotNull(MigrationPairing.Choose(pair, [new("small", 5, 0, true)], Policy));
    }

    [Fact]
    public void Two_workers_that_trade_by_these_rules_come_to_rest()
    {
        var random = new Random(3);
        for (var run = 0; run < 200; run++)
        {
            var held = Enumerable.Range(0, 2)
                .Select(_ => Enumerable.Range(0, random.Next(12)).Select(_ => random.Next(1, 16)).ToList()).ToArray();
            var moves = 0;
            while (true)
            {
                ImmutableArray<WorkerUsage> workers =
                    [.. held.Select((blocks, i) => Worker($"w{i}", 100, Math.Min(100, blocks.Sum()), blocks.Count))];
                if (MigrationPairing.Pair(workers, Policy) is not [var pair]) break;
                var (from, to) = pair.Source.Worker.WorkerId == "w0" ? (0, 1) : (1, 0);
                var candidates = held[from].Select((blocks, i) => new MovableSequence($"{i:D2}", blocks, 0, true));
                if (MigrationPairing.Choose(pair, candidates, Policy) is not { } chosen) break;
                held[from].Remove(chosen.Blocks);
                held[to].Add(chosen.Blocks);
                Assert.True(++moves < 30, "sequences go to and fro");
            }
        }
    }

    [Fact]
    public void Off_a_draining_worker_even_the_newest_moves_when_there_is_room()
    {
        var pair = new MigrationPair(
            Worker("a", 100, 98, 2) with { IsDraining = true }, Worker("b", 100, 60, 2), "");
        Assert.Equal(
            "x", MigrationPairing.Choose(pair, [new("x", 39, 0, false), new("big", 60, 0, true)], Policy)?.RequestId);
        Assert.Null(MigrationPairing.Choose(pair, [new("big", 40, 0, true)], Policy));
    }

    private static string Name(MigrationPair pair) =>
        $"{pair.Source.Worker.WorkerId}->{pair.Target.Worker.WorkerId}";

    private static WorkerUsage Worker(string id, int total, int used, int running) => new()
    {
        Worker = new WorkerIncarnation(id, 1),
        TotalBlocks = total,
        UsedBlocks = used,
        RunningSequences = running,
    };
}
