using Krewe.Abstractions;
using Krewe.Control.Routing;
using static Krewe.Control.Tests.Routing.RouteWorld;

namespace Krewe.Control.Tests.Routing;

public class KrewePolicyTests
{
    // Of an 8B model on one large GPU: 0.05 ms a prompt token, steps of 10 ms.
    private static readonly StepCosts Costs = new()
    {
        PrefillFixedMs = 10,
        PrefillTokenMs = 0.05,
        PrefillPairMs = 1e-6,
        DecodeFixedMs = 10,
        DecodeSequenceMs = 0.05,
        DecodeContextMs = 1e-4,
    };

    [Fact]
    public void A_prefix_is_worth_its_work_but_not_any_queue()
    {
        var request = Asked(8000, 200);
        request.Hits.Set(0, new PrefixHit(7000, 0, 0));
        var table = Table(Big(Prefill("p0")), Big(Prefill("p1")), Big(Decode("d0")));
        var policy = new KrewePolicy();
        Assert.Equal("p0", policy.Choose(request, table).Prefill!.Worker.WorkerId);
        table.Workers[1].WaitingPrefillMs = 200;
        Assert.Equal("p0", policy.Choose(request, table).Prefill!.Worker.WorkerId);
        table.Workers[1].WaitingPrefillMs = 2000;
        var choice = policy.Choose(request, table);
        Assert.Equal("p1", choice.Prefill!.Worker.WorkerId);
        Assert.Equal(0, choice.HitTokens);
    }

    [Fact]
    public void A_dispatch_is_seen_by_the_next_choice_before_any_report()
    {
        var table = Table(Big(Prefill("p0")), Big(Prefill("p1")), Big(Decode("d0")), Big(Decode("d1")));
        var policy = new KrewePolicy();
        var request = Asked(4000, 200);
        var first = policy.Choose(request, table);
        RouteDispatch.Count(request, first);
        var second = policy.Choose(request, table);
        Assert.NotEqual(first.Prefill, second.Prefill);
        Assert.NotEqual(first.Decode, second.Decode);
    }

    [Fact]
    public void A_restore_is_taken_when_it_is_faster_than_computing_and_only_then()
    {
        var request = Asked(8000, 200);
        request.Hits.Set(0, new PrefixHit(0, 7000, 0));
        var table = Table(
            Big(Prefill("p0", worker => (worker.KvBytesPerToken, worker.HostBytesPerMs) = (100_000, 20e6))),
            Big(Decode("d0")));
        var fast = new KrewePolicy().Choose(request, table);
        Assert.Equal((7000, 7000), (fast.RestoreTokens, fast.HitTokens));
        table.Workers[1].HostBytesPerMs = 0.5e6;
        var slow = new KrewePolicy().Choose(request, table);
        Assert.Equal((0, 0), (slow.RestoreTokens, slow.HitTokens));
        Assert.True(fast.TtftMs < slow.TtftMs);
    }

    [Fact]
    public void A_hot_prefix_is_pulled_to_an_idle_worker()
    {
        var request = Asked(8000, 200);
        request.Hits.Set(1, new PrefixHit(7900, 0, 0));
        var table = Table(
            Big(Decode("d0")),
            Big(Prefill("p0", worker => worker.WaitingPrefillMs = 5000)),
            Big(Prefill("p1", worker =>
            {
                worker.PullsPrefixes = true;
                (worker.KvBytesPerToken, worker.LinkBytesPerMs) = (100_000, 10e6);
            })));
        var choice = new KrewePolicy().Choose(request, table);
        Assert.Equal(("p1", 7900, 1), (choice.Prefill!.Worker.WorkerId, choice.PullTokens, choice.PullFromSlot));
        Assert.Contains(
            "7900 pulled from p0", new KrewePolicy().Explain(request, choice, table), StringComparison.Ordinal);
    }

    [Fact]
    public void A_short_prompt_is_prefilled_where_it_decodes_and_a_long_one_beside_a_full_batch_is_not()
    {
        var table = Table(
            Big(Prefill("p0", worker => worker.WaitingPrefillMs = 300)),
            Big(Decode("d0", worker => (worker.PrefillsLocally, worker.RunningSequences) = (true, 4))));
        var policy = new KrewePolicy();
        Assert.Equal(("d0", "d0"), policy.Choose(Asked(50, 200), table).Ids());
        Assert.Equal(("p0", "d0"), policy.Choose(Asked(8000, 200), table).Ids());
    }

    [Fact]
    public void What_no_pair_can_serve_in_time_is_refused_with_the_prediction()
    {
        var request = Asked(8000, 200);
        (request.TtftSloMs, request.TpotSloMs, request.MayRefuse) = (1000, 50, true);
        var table = Table(
            Big(Prefill("p0", worker => worker.WaitingPrefillMs = 900)), Big(Decode("d0")));
        var policy = new KrewePolicy();
        var choice = policy.Choose(request, table);
        Assert.Equal(ErrorCode.Overloaded, choice.Refusal);
        Assert.Contains("(limit 1000)", policy.Explain(request, choice, table), StringComparison.Ordinal);

        // What is under way already goes on, late or not; and nothing is refused on a guess.
        request.MayRefuse = false;
        Assert.False(policy.Choose(request, table).IsRefused);
        request.MayRefuse = true;
        table.Workers[1].Steps = StepCosts.ColdStart;
        Assert.False(policy.Choose(request, table).IsRefused);
    }

    [Fact]
    public void A_pair_within_the_SLO_goes_before_a_cheaper_one_outside_it()
    {
        var request = Asked(4000, 200);
        (request.TtftSloMs, request.TpotSloMs) = (1000, 12);
        // d0 is faster on the whole but gives every token late.
        var table = Table(
            Big(Mixed("m0", worker => (worker.RunningSequences, worker.ContextTokens) = (0, 0))),
            Big(Mixed("m1", worker => (worker.RunningSequences, worker.WaitingPrefillMs) = (0, 500))));
        Assert.Equal("m0", new KrewePolicy().Choose(request, table).Prefill!.Worker.WorkerId);
        table.Workers[0].RunningSequences = 60;
        Assert.Equal("m1", new KrewePolicy().Choose(request, table).Prefill!.Worker.WorkerId);
    }

    [Fact]
    public void A_decode_worker_without_room_is_left_alone_while_another_is_about_as_good()
    {
        var table = Table(
            Big(Prefill("p0")),
            Big(Decode("d0", worker => (worker.AvailableBlocks, worker.RunningSequences) = (10, 8))),
            Big(Decode("d1", worker => worker.RunningSequences = 9)));
        table.Workers[0].ContextTokens = 20_000;
        table.Workers[1].ContextTokens = 22_000;
        Assert.Equal("d1", new KrewePolicy().Choose(Asked(4000, 200), table).Decode!.Worker.WorkerId);
    }

    [Fact]
    public void Deciding_allocates_nothing()
    {
        var table = new RouteTable();
        for (var i = 0; i < 200; i++) table.Add(Big(i % 2 == 0 ? Prefill($"p{i:000}") : Decode($"d{i:000}")));
        var request = Asked(4000, 200);
        request.Hits.Set(0, new PrefixHit(500, 300, 100));
        foreach (var name in RoutingPolicies.Names)
        {
            var policy = RoutingPolicies.Create(name, 1);
            policy.Choose(request, table);
            Assert.Equal((name, 0), (name, Allocations.Of(() => policy.Choose(request, table))));
        }
    }

    private static RouteRequest Asked(int prefillTokens, int outputTokens) => new()
    {
        PrefillTokens = prefillTokens,
        ContextTokens = prefillTokens + outputTokens,
        ExpectedOutputTokens = outputTokens,
    };

    private static Func<int, RouteWorker> Big(Func<int, RouteWorker> worker) => slot =>
    {
        var big = worker(slot);
        (big.TotalBlocks, big.MaxContextTokens, big.Steps) = (100_000, 200_000, Costs);
        if (big.AvailableBlocks == 100) big.AvailableBlocks = 100_000;
        return big;
    };
}
