using System.Collections.Immutable;
using Krewe.Abstractions;
using Krewe.Control.Migration;

namespace Krewe.Control.Tests.Migration;

public sealed class MigrationPoolTests
{
    private static readonly DateTimeOffset Start = DateTimeOffset.UnixEpoch;
    private readonly MigrationPool _pool = new(new MigrationPolicy(), new DrainPolicy());

    [Fact]
    public void A_full_worker_gives_its_shortest_sequence_to_an_empty_one_and_then_waits_for_that_to_show()
    {
        var report = Report([Worker("a", used: 98, running: 2), Worker("b", used: 0, running: 0)],
            [Sequence("long", "a", 90), Sequence("short", "a", 8)]);
        var order = Assert.Single(_pool.Exchange(report, Start));
        Assert.Equal(("short", "b"), (order.Key, order.Target?.WorkerId));
        Assert.Empty(_pool.Exchange(report, Start + TimeSpan.FromMilliseconds(500)));
    }

    [Fact]
    public void A_worker_that_drains_is_emptied_a_few_at_a_time()
    {
        _pool.SetWish("a", WorkerWish.Drain);
        var report = Report([Worker("a", used: 20, running: 5), Worker("b", used: 10, running: 1)],
            [.. Enumerable.Range(0, 5).Select(i => Sequence($"s{i}", "a", 4))]);
        var orders = _pool.Exchange(report, Start);
        Assert.Equal(2, orders.Length);
        Assert.All(orders, order => Assert.Equal("b", order.Target?.WorkerId));
        Assert.Equal(WorkerWish.Drain, _pool.Wishes["a"]);
    }

    [Fact]
    public void A_cordoned_worker_keeps_what_it_has_and_takes_nothing()
    {
        _pool.SetWish("b", WorkerWish.Cordon);
        Assert.Empty(_pool.Exchange(
            Report([Worker("a", used: 98, running: 2), Worker("b", used: 0, running: 0)], [Sequence("s", "a", 8)]),
            Start));
        _pool.SetWish("b", WorkerWish.Serve);
        Assert.Single(_pool.Exchange(
            Report([Worker("a", used: 98, running: 2), Worker("b", used: 0, running: 0)], [Sequence("s", "a", 8)]),
            Start));
    }

    [Fact]
    public void What_cannot_leave_in_time_is_computed_again_elsewhere()
    {
        var stopping = Worker("a", used: 50, running: 1) with
        {
            State = WorkerState.Draining,
            DrainLeft = TimeSpan.FromSeconds(1),
        };
        var order = Assert.Single(_pool.Exchange(
            Report([stopping, Worker("b", used: 95, running: 1)], [Sequence("s", "a", 50)]), Start));
        Assert.Null(order.Target);

        // Alone in the pool it stays to the last: there is nowhere to go.
        Assert.Empty(_pool.Exchange(Report([stopping], [Sequence("t", "a", 50)]), Start + TimeSpan.FromMinutes(1)));
    }

    [Fact]
    public void The_newest_view_of_a_worker_counts_and_a_silent_silos_view_is_forgotten()
    {
        var full = Report([Worker("a", used: 98, running: 2), Worker("b", used: 0, running: 0)], []);
        Assert.Empty(_pool.Exchange(full with { SiloId = "x" }, Start)); // silo x owns no sequence
        var report = Report([Worker("b", used: 0, running: 0)], [Sequence("s", "a", 8)]);
        Assert.Single(_pool.Exchange(report, Start + TimeSpan.FromSeconds(1)));
        report = Report([Worker("b", used: 0, running: 0)], [Sequence("t", "a", 8)]);
        Assert.Empty(_pool.Exchange(report, Start + TimeSpan.FromSeconds(30)));
    }

    [Theory]
    [InlineData(null, true, true, DrainDecision.Move)] // no deadline: why wait
    [InlineData(null, false, true, DrainDecision.Stay)]
    [InlineData(20.0, true, true, DrainDecision.Move)]
    [InlineData(20.0, false, true, DrainDecision.Stay)] // somebody may have room in time
    [InlineData(1.0, true, true, DrainDecision.Recompute)]
    [InlineData(1.0, true, false, DrainDecision.Stay)] // nowhere to go: the last second may be enough
    [InlineData(600.0, true, true, DrainDecision.Stay)] // it ends by itself long before
    public void A_drain_moves_what_can_leave_and_gives_up_the_KV_of_what_cannot(
        double? seconds, bool hasTarget, bool hasOthers, DrainDecision expected) => Assert.Equal(
        expected, DrainPlan.Decide(
            Sequence("s", "a", 50), seconds is { } left ? TimeSpan.FromSeconds(left) : null,
            TimeSpan.FromMilliseconds(100), hasTarget, hasOthers, new DrainPolicy()));

    private static PoolReport Report(ImmutableArray<PoolWorker> workers, ImmutableArray<PoolSequence> sequences) =>
        new("silo", workers, sequences);

    private static PoolWorker Worker(string id, int used, int running) => new()
    {
        Worker = new WorkerIncarnation(id, 1),
        Role = WorkerRole.Decode,
        State = WorkerState.Ready,
        Numerics = "n",
        TotalBlocks = 100,
        UsedBlocks = used,
        RunningSequences = running,
        StepTime = TimeSpan.FromMilliseconds(100),
    };

    private static PoolSequence Sequence(string key, string worker, int blocks) => new()
    {
        Key = key,
        Worker = new WorkerIncarnation(worker, 1),
        Blocks = blocks,
        Priority = 0,
        TokensLeft = 1000,
        IsDecoding = true,
    };
}
