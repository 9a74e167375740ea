namespace Krewe.Simulation.Tests.Cells;

public sealed class A_cell_keeps_its_promises
{
    public static TheoryData<CellMode> Modes => new(Enum.GetValues<CellMode>());

    [Theory]
    [MemberData(nameof(Modes))]
    public void Every_request_ends_and_one_seed_gives_one_run(CellMode mode)
    {
        var trace = Cells.Mixed(400, 20);

        var first = new CellSimulator(Cells.Options(mode, 2, 2), trace).Run();
        var second = new CellSimulator(Cells.Options(mode, 2, 2), trace).Run();

        Assert.Equal(first.Outcomes, second.Outcomes);
        Assert.Equal(0, first.Rejected);
        Assert.All(first.Outcomes.Zip(trace.Requests), pair =>
        {
            Assert.Equal(pair.Second.OutputTokens, pair.First.OutputTokens);
            Assert.InRange(pair.First.TtftNs, 1, pair.First.TotalNs);
        });
    }

    [Theory]
    [MemberData(nameof(Modes))]
    public void A_pool_that_is_too_small_for_the_load_preempts_or_queues_but_loses_nothing(CellMode mode)
    {
        var options = Cells.Options(mode, 1, 1) with { CapacityTokens = 4096 };

        var report = new CellSimulator(options, Cells.Mixed(200, 50)).Run();

        Assert.Equal(200, report.Outcomes.Count(o => o.OutputTokens > 0));
    }

    [Fact]
    public void A_single_request_takes_what_its_steps_take()
    {
        var options = Cells.Options(CellMode.Chunked, 0) with
        {
            Cost = new Cells.Linear(10, 0.01, 0),
            StepBudgetTokens = 512,
        };

        var outcome = new CellSimulator(options, Cells.Of(new TraceRequest(0, 1000, 3))).Run().Outcomes[0];

        // Chunks of 512 and 488 rows, then two decodes of one row.
        Assert.Equal(10 + 5.12 + 10 + 4.88, outcome.TtftNs / 1e6, 6);
        Assert.Equal(2 * 10.01, (outcome.TotalNs - outcome.TtftNs) / 1e6, 6);
    }

    [Fact]
    public void A_handoff_costs_its_bytes_and_its_commit()
    {
        var options = Cells.Options(CellMode.Disagg) with
        {
            Cost = new Cells.Linear(10, 0, 0),
            NetworkBytesPerSecond = 1e9,
            HandoffLatencyNs = 3_000_000,
        };

        var outcome = new CellSimulator(options, Cells.Of(new TraceRequest(0, 1600, 2))).Run().Outcomes[0];

        // One step of prefill, 100 blocks over the network, the commit, one decode.
        var bytes = 1600.0 * Cells.Llama8b.KvBytesPerToken;
        Assert.Equal(10, outcome.TtftNs / 1e6, 6);
        Assert.Equal((bytes / 1e9 * 1000) + 3 + 10, (outcome.TotalNs - outcome.TtftNs) / 1e6, 3);
    }

    [Fact]
    public void Two_handoffs_into_one_worker_share_its_network()
    {
        var options = Cells.Options(CellMode.Disagg, prefill: 2) with
        {
            Cost = new Cells.Linear(10, 0, 0),
            NetworkBytesPerSecond = 1e8,
            HandoffLatencyNs = 0,
        };
        var request = new TraceRequest(0, 1600, 2);

        var alone = new CellSimulator(options, Cells.Of(request)).Run().Outcomes[0];
        var both = new CellSimulator(options, Cells.Of(request, request)).Run();

        var transfer = (alone.TotalNs - alone.TtftNs) - 10_000_000;
        Assert.All(both.Outcomes, o => Assert.InRange(o.TotalNs - o.TtftNs, 2 * transfer, (2 * transfer) + 25_000_000));
        Assert.Equal(2 * 1600.0 * Cells.Llama8b.KvBytesPerToken, both.CarriedBytes, 1.0);
    }

    [Fact]
    public void Whole_prompts_stall_decodes_and_chunks_do_not()
    {
        var cost = new Cells.Linear(1, 0.1, 0);
        var trace = Cells.Of(new TraceRequest(0, 16, 100), new TraceRequest(20_000_000, 8000, 1));

        CellOutcome First(CellMode mode) => new CellSimulator(
            Cells.Options(mode, 0) with { Cost = cost, StepBudgetTokens = 256 }, trace).Run().Outcomes[0];

        // 8000 rows take 800 ms: at once, or 26 ms for each of its chunks.
        Assert.True(First(CellMode.Coloc).TotalNs > 800e6);
        Assert.True(First(CellMode.Chunked).TpotSeconds < First(CellMode.Coloc).TpotSeconds);
    }

    [Fact]
    public void A_shared_prefix_is_computed_once()
    {
        var ids = Enumerable.Range(0, 100).ToList();
        var request = new TraceRequest(0, 1600, 2, 0, 100);
        var trace = new Trace("shared", [request, request with { ArrivalNs = 1_000_000_000 }], ids, 16);

        var report = new CellSimulator(Cells.Options(CellMode.Chunked, 0), trace).Run();
        var without = new CellSimulator(Cells.Options(CellMode.Chunked, 0) with { PrefixCache = false }, trace).Run();

        // The last token is always computed, so the last of the full blocks is too.
        Assert.Equal([0, 1584], report.Outcomes.Select(o => o.HitTokens));
        Assert.True(report.Outcomes[1].TtftNs < report.Outcomes[0].TtftNs / 2);
        Assert.Equal([0, 0], without.Outcomes.Select(o => o.HitTokens));
    }

    [Fact]
    public void A_request_that_no_pool_holds_is_refused_and_the_rest_is_served()
    {
        var trace = Cells.Of(new TraceRequest(0, 100_000, 5), new TraceRequest(0, 100, 5));

        var report = new CellSimulator(Cells.Options(CellMode.Disagg), trace).Run();

        Assert.Equal([true, false], report.Outcomes.Select(o => o.Rejected));
        Assert.Equal(0.5, report.Attainment);
    }

    [Fact]
    public void A_closed_loop_never_has_more_requests_than_clients()
    {
        var requests = Enumerable.Repeat(new TraceRequest(0, 100, 10), 40).ToArray();
        var options = Cells.Options(CellMode.Chunked, 0) with
        {
            Cost = new Cells.Linear(10, 0, 0),
            ClosedLoopClients = 4,
        };

        var report = new CellSimulator(options, Cells.Of(requests)).Run();

        // Ten rounds of four, each of one prefill step and nine decodes.
        Assert.Equal(10 * 100, report.VirtualSeconds * 1000, 3);
    }

    [Theory]
    [InlineData(0, 1, "at least one prefill")]
    [InlineData(1, 0, "at least one prefill and one decode")]
    public void A_cell_without_a_pool_is_refused(int prefill, int decode, string reason) => Assert.Contains(
        reason,
        Assert.Throws<SimulationException>(
            () => new CellSimulator(Cells.Options(CellMode.Disagg, prefill, decode), Cells.Mixed(1, 1))).Message);

    [Fact]
    public void An_unknown_policy_lists_those_there_are() => Assert.Contains(
        "least-loaded",
        Assert.Throws<SimulationException>(() => new CellSimulator(
            Cells.Options(CellMode.Disagg) with { Policy = "fastest" }, Cells.Mixed(1, 1))).Message);

    [Fact]
    public void A_block_size_that_hides_shared_prefixes_is_refused() => Assert.Contains(
        "does not divide",
        Assert.Throws<SimulationException>(() => new CellSimulator(
            Cells.Options(CellMode.Disagg) with { BlockTokens = 48 },
            new Trace("t", [new TraceRequest(0, 512, 1, 0, 1)], [0], 512))).Message);
}
