using Krewe.Abstractions;
using Krewe.Control.Routing;

namespace Krewe.Control.Tests.Routing;

public class LeastLoadedPolicyTests
{
    private static readonly LeastLoadedPolicy Policy = new();

    [Fact]
    public void Prefill_goes_where_the_fewest_prompt_tokens_are_outstanding()
    {
        var chosen = Chosen(100, 200,
            Worker("p0", WorkerRole.Prefill) with { WaitingTokens = 500 },
            Worker("p1", WorkerRole.Prefill) with { WaitingTokens = 100, DispatchedTokens = 300 },
            Worker("d0", WorkerRole.Decode));
        Assert.Equal(("p1", "d0"), (chosen.Prefill.WorkerId, chosen.Decode.WorkerId));
        Assert.Contains("400 prompt tokens", chosen.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Decode_goes_where_there_is_room_before_it_goes_where_few_sequences_are()
    {
        var chosen = Chosen(100, 200,
            Worker("p0", WorkerRole.Prefill),
            Worker("d0", WorkerRole.Decode) with { AvailableBlocks = 12 },
            Worker("d1", WorkerRole.Decode) with { AvailableBlocks = 13, RunningSequences = 9 },
            Worker("d2", WorkerRole.Decode) with { AvailableBlocks = 13, RunningSequences = 3, WaitingSequences = 5 });
        Assert.Equal("d2", chosen.Decode.WorkerId);
        Assert.Contains("room now", chosen.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Equal_workers_are_chosen_by_name_whatever_their_order()
    {
        RouteCandidate[] workers =
        [
            Worker("p1", WorkerRole.Prefill), Worker("p0", WorkerRole.Prefill),
            Worker("d1", WorkerRole.Decode), Worker("d0", WorkerRole.Decode),
        ];
        RouteCandidate[] reversed = [.. Enumerable.Reverse(workers)];
        foreach (var order in new[] { workers, reversed })
        {
            var chosen = Chosen(16, 32, order);
            Assert.Equal(("p0", "d0"), (chosen.Prefill.WorkerId, chosen.Decode.WorkerId));
        }
    }

    [Fact]
    public void A_mixed_worker_that_wins_the_prefill_does_both()
    {
        var chosen = Chosen(16, 32,
            Worker("m0", WorkerRole.Mixed), Worker("p0", WorkerRole.Prefill) with { WaitingTokens = 1 },
            Worker("d0", WorkerRole.Decode));
        Assert.Equal(("m0", "m0"), (chosen.Prefill.WorkerId, chosen.Decode.WorkerId));
    }

    [Fact]
    public void Draining_lost_and_excluded_workers_are_not_used()
    {
        RouteCandidate[] workers =
        [
            Worker("p0", WorkerRole.Prefill), Worker("d0", WorkerRole.Decode) with { State = WorkerState.Lost },
            Worker("d1", WorkerRole.Decode) with { State = WorkerState.Draining }, Worker("d2", WorkerRole.Decode),
        ];
        Assert.Equal("d2", Chosen(16, 32, workers).Decode.WorkerId);
        var query = new RouteQuery(16, 32, [workers[3].Worker]);
        Assert.Equal(ErrorCode.Draining, Refused(query, workers).Code);

        var refused = Refused(query, workers[0], workers[1], workers[3]);
        Assert.Equal(ErrorCode.NoWorkers, refused.Code);
        Assert.Contains("takes decode", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_context_larger_than_any_pool_is_refused_with_the_arithmetic()
    {
        var refused = Refused(new RouteQuery(100, 700, []),
            Worker("p0", WorkerRole.Prefill), Worker("d0", WorkerRole.Decode) with { TotalBlocks = 40 });
        Assert.Equal(ErrorCode.KvPoolTooSmall, refused.Code);
        Assert.Contains("700 token slots = 44 KV blocks", refused.Message, StringComparison.Ordinal);
        Assert.Contains("40 blocks = 640 slots", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_context_ends_at_the_models_limit_so_its_need_is_capped() =>
        Assert.Equal("d0", Chosen(100, 1_000_000,
            Worker("p0", WorkerRole.Prefill), Worker("d0", WorkerRole.Decode)).Decode.WorkerId);

    private static RouteChosen Chosen(int prefillTokens, int contextTokens, params RouteCandidate[] workers) =>
        Assert.IsType<RouteChosen>(Policy.Choose(new RouteQuery(prefillTokens, contextTokens, []), [.. workers]));

    private static RouteRefused Refused(RouteQuery query, params RouteCandidate[] workers) =>
        Assert.IsType<RouteRefused>(Policy.Choose(query, [.. workers]));

    private static RouteCandidate Worker(string id, WorkerRole role) => new()
    {
        Worker = new WorkerIncarnation(id, 1),
        Role = role,
        State = WorkerState.Ready,
        TotalBlocks = 100,
        BlockTokens = 16,
        MaxContextTokens = 1024,
        AvailableBlocks = 100,
        RunningSequences = 0,
        WaitingSequences = 0,
        WaitingTokens = 0,
        DispatchedSequences = 0,
        DispatchedTokens = 0,
    };
}
