using Krewe.Abstractions;
using Krewe.Control.Routing;
using static Krewe.Control.Tests.Routing.RouteWorld;

namespace Krewe.Control.Tests.Routing;

/// <summary>Who may be chosen at all: the same for every policy.</summary>
public class RoutePolicyTests
{
    public static TheoryData<string> Names => [.. RoutingPolicies.Names];

    [Theory, MemberData(nameof(Names))]
    public void Draining_lost_and_excluded_workers_are_not_used(string name)
    {
        var policy = RoutingPolicies.Create(name, 1);
        var table = Table(
            Prefill("p0"), Decode("d0", worker => worker.State = WorkerState.Lost),
            Decode("d1", worker => worker.State = WorkerState.Draining), Decode("d2"));
        Assert.Equal("d2", policy.Choose(Request(16, 32), table).Decode!.Worker.WorkerId);

        var request = Request(16, 32);
        request.Excluded = [new WorkerIncarnation("d2", 1)];
        Assert.Equal(ErrorCode.Draining, policy.Choose(request, table).Refusal);

        table.Remove("d1");
        var choice = policy.Choose(request, table);
        Assert.Equal(ErrorCode.NoWorkers, choice.Refusal);
        Assert.Contains("takes decode", policy.Explain(request, choice, table), StringComparison.Ordinal);
    }

    [Theory, MemberData(nameof(Names))]
    public void A_context_larger_than_any_pool_is_refused_with_the_arithmetic(string name)
    {
        var policy = RoutingPolicies.Create(name, 1);
        var table = Table(Prefill("p0"), Decode("d0", worker => worker.TotalBlocks = 40));
        var choice = policy.Choose(Request(100, 700), table);
        Assert.Equal(ErrorCode.KvPoolTooSmall, choice.Refusal);
        var words = policy.Explain(Request(100, 700), choice, table);
        Assert.Contains("700 token slots = 44 KV blocks", words, StringComparison.Ordinal);
        Assert.Contains("40 blocks = 640 slots", words, StringComparison.Ordinal);
    }

    [Theory, MemberData(nameof(Names))]
    public void A_context_ends_at_the_models_limit_so_its_need_is_capped(string name) =>
        Assert.Equal("d0", RoutingPolicies.Create(name, 1).Choose(
            Request(100, 1_000_000), Table(Prefill("p0"), Decode("d0"))).Decode!.Worker.WorkerId);

    [Theory, MemberData(nameof(Names))]
    public void Without_prefill_workers_a_decode_worker_that_prefills_takes_the_whole_request(string name) =>
        Assert.Equal(("d1", "d1"), RoutingPolicies.Create(name, 1).Choose(
            Request(16, 32), Table(Decode("d0"), Decode("d1", worker => worker.PrefillsLocally = true))).Ids());

    [Fact]
    public void An_unknown_name_is_refused_with_all_names()
    {
        var e = Assert.Throws<ArgumentException>(() => RoutingPolicies.Create("best", 1));
        Assert.Contains("round-robin", e.Message, StringComparison.Ordinal);
    }
}
