using Krewe.Control.Routing;
using static Krewe.Control.Tests.Routing.RouteWorld;

namespace Krewe.Control.Tests.Routing;

public class LeastLoadedPolicyTests
{
    private static readonly LeastLoadedPolicy Policy = new();

    [Fact]
    public void Prefill_goes_where_the_fewest_prompt_tokens_are_outstanding()
    {
        var table = Table(
            Prefill("p0", worker => worker.WaitingTokens = 500),
            Prefill("p1", worker => (worker.WaitingTokens, worker.DispatchedTokens) = (100, 300)),
            Decode("d0"));
        var choice = Policy.Choose(Request(100, 200), table);
        Assert.Equal(("p1", "d0"), choice.Ids());
        Assert.Contains(
            "400 prompt tokens", Policy.Explain(Request(100, 200), choice, table), StringComparison.Ordinal);
    }

    [Fact]
    public void Decode_goes_where_there_is_room_before_it_goes_where_few_sequences_are()
    {
        var table = Table(
            Prefill("p0"),
            Decode("d0", worker => worker.AvailableBlocks = 12),
            Decode("d1", worker => (worker.AvailableBlocks, worker.RunningSequences) = (13, 9)),
            Decode("d2", worker =>
                (worker.AvailableBlocks, worker.RunningSequences, worker.WaitingSequences) = (13, 3, 5)));
        Assert.Equal("d2", Policy.Choose(Request(100, 200), table).Decode!.Worker.WorkerId);
    }

    [Fact]
    public void Equal_workers_are_chosen_by_name_whatever_their_order()
    {
        Assert.Equal(("p0", "d0"), Policy.Choose(
            Request(16, 32), Table(Prefill("p1"), Prefill("p0"), Decode("d1"), Decode("d0"))).Ids());
        Assert.Equal(("p0", "d0"), Policy.Choose(
            Request(16, 32), Table(Decode("d0"), Decode("d1"), Prefill("p0"), Prefill("p1"))).Ids());
    }

    [Fact]
    public void A_mixed_worker_that_wins_the_prefill_does_both() =>
        Assert.Equal(("m0", "m0"), Policy.Choose(
            Request(16, 32),
            Table(Mixed("m0"), Prefill("p0", worker => worker.WaitingTokens = 1), Decode("d0"))).Ids());
}
