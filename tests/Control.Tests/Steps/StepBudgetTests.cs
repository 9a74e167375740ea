using Krewe.Control.Steps;

namespace Krewe.Control.Tests.Steps;

/// <summary>What the inter-token SLO, saturation, priority and costs make of a plan.</summary>
public sealed class StepBudgetTests
{
    private static readonly StepTimeCoefficients Time = new()
    {
        StepMs = 4,
        RowMs = 0.5,
        DecodeSequenceMs = 0.5,
        ContextTokenMs = 0,
        PairMs = 1e-3,
    };

    private static readonly StepSequence[] TwoDecodes =
    [
        Sequence(1, known: 21) with { ComputedTokens = 20, HeldBlocks = 2 },
        Sequence(2, known: 21) with { ComputedTokens = 20, HeldBlocks = 2 },
    ];

    [Fact]
    public void Beside_decodes_a_prefill_gets_the_rows_that_the_slo_leaves()
    {
        // 4 + 2 (0.5 + 0.5) = 6 ms of decodes leave 34 of 40: 0.5 n + n (n + 1) / 2000 = 34 gives n = 63.8.
        var plan = Plan(sloMs: 40, running: [.. TwoDecodes, Sequence(3, known: 1000) with { HeldBlocks = 63 }]);
        Assert.Equal([new(1, 1), new(2, 1), new(3, 63)], plan.Continued);
    }

    [Fact]
    public void The_further_a_prompt_is_the_shorter_its_chunks()
    {
        int Rows(int computed) => Plan(sloMs: 40, running:
        [
            .. TwoDecodes, Sequence(3, known: 4000) with { ComputedTokens = computed, HeldBlocks = 250 },
        ]).Continued[2].Rows;
        Assert.True(Rows(0) > Rows(1000) && Rows(1000) > Rows(3000), $"{Rows(0)} {Rows(1000)} {Rows(3000)}");
    }

    [Fact]
    public void Without_decodes_or_without_an_slo_the_token_budget_alone_limits()
    {
        var prefill = Sequence(3, known: 4000) with { HeldBlocks = 250 };
        Assert.Equal(512, Plan(sloMs: 10, running: [prefill]).Continued[0].Rows);
        Assert.Equal(510, Plan(sloMs: null, running: [.. TwoDecodes, prefill]).Continued[2].Rows);
    }

    [Fact]
    public void An_slo_that_decodes_alone_miss_stops_no_prefill()
    {
        // Half of the decodes' 6 ms: 5 rows; the first prefill gets 16 at least.
        var plan = Plan(sloMs: 1, running: [.. TwoDecodes, Sequence(3, known: 1000) with { HeldBlocks = 63 }]);
        Assert.Equal(16, plan.Continued[2].Rows);
    }

    [Fact]
    public void Further_prompts_join_until_the_step_is_saturated()
    {
        // L_m at 90 %: 9 * 4 / 0.5 = 72 rows.
        var plan = Plan(sloMs: 1000, waiting:
            [Sequence(1, known: 30), Sequence(2, known: 30), Sequence(3, known: 30), Sequence(4, known: 30)]);
        Assert.Equal([new(1, 30), new(2, 30)], plan.Admitted);
        Assert.Equal([new(1, 300)], Plan(sloMs: 1000, waiting:
            [Sequence(1, known: 300), Sequence(2, known: 30)]).Admitted);
    }

    [Fact]
    public void A_prompt_of_the_batch_lane_takes_no_more_of_a_step_than_saturates_it()
    {
        var leisure = Sequence(1, known: 300) with { Priority = StepOrder.LeisurePriority };
        Assert.Equal([new(1, 72)], Plan(sloMs: 1000, waiting: [leisure]).Admitted);
        Assert.Equal(
            [new(1, 72)], Plan(sloMs: 1000, running: [leisure with { HeldBlocks = 19 }]).Continued);
    }

    [Fact]
    public void A_short_prompt_overtakes_a_long_one_that_is_under_way_and_not_for_ever()
    {
        var prefill = Sequence(1, known: 4000) with { HeldBlocks = 250, ArrivedMs = 0, ExpectedMs = 2000 };
        StepPlan With(long arrivedMs) => Plan(sloMs: 40, running: [prefill], waiting:
            [Sequence(2, known: 20) with { ArrivedMs = arrivedMs, ExpectedMs = 10 }]);
        Assert.Equal([new(2, 20)], With(arrivedMs: 500).Admitted);
        Assert.Empty(With(arrivedMs: 3000).Admitted);
    }

    [Fact]
    public void A_higher_priority_that_does_not_fit_takes_the_place_of_a_lower_one_and_of_no_equal()
    {
        StepPlan With(int priority) => Plan(sloMs: null, available: 0, running:
        [
            Sequence(1, known: 40) with { ComputedTokens = 39, HeldBlocks = 3, ReleasableBlocks = 3 },
            Sequence(2, known: 40) with { ComputedTokens = 39, HeldBlocks = 3, ReleasableBlocks = 3 },
        ], waiting: [Sequence(3, known: 30) with { Priority = priority }]);
        Assert.Equal([2], With(priority: 1).Preempted);
        Assert.Empty(With(priority: 0).Preempted);

        // All of it would not make room: then nobody is disturbed.
        Assert.Empty(Plan(sloMs: null, available: 0, running:
            [Sequence(1, known: 17) with { ComputedTokens = 16, HeldBlocks = 2, ReleasableBlocks = 2 }],
            waiting: [Sequence(3, known: 300) with { Priority = 1 }]).Preempted);
    }

    [Fact]
    public void Blocks_are_spilled_where_copying_them_is_cheaper_than_computing_their_tokens()
    {
        // 6 full blocks, 96 tokens: 4 + 48 + 4.7 ms to compute.
        bool Spills(SpillRates? rates) => Plan(sloMs: 40, available: 0, spill: rates, running:
        [
            Sequence(1, known: 17) with { ComputedTokens = 16, HeldBlocks = 1, ReleasableBlocks = 1 },
            Sequence(2, known: 100) with { ComputedTokens = 99, HeldBlocks = 7, ReleasableBlocks = 7 },
        ]).Spilled.Contains(2);
        Assert.True(Spills(new SpillRates(2, 3, FreeBlocks: 6)));
        Assert.False(Spills(new SpillRates(5, 6, FreeBlocks: 6)));
        Assert.False(Spills(new SpillRates(2, 3, FreeBlocks: 5)));
        Assert.False(Spills(null));
    }

    private static StepPlan Plan(
        double? sloMs, StepSequence[]? running = null, StepSequence[]? waiting = null, int available = 1000,
        SpillRates? spill = null)
    {
        var snapshot = new StepSnapshot
        {
            BudgetTokens = 512,
            SequencesMax = 256,
            BlockTokens = 16,
            AvailableBlocks = available,
            StepTime = Time,
            InterTokenSloMs = sloMs,
            Spill = spill,
        };
        snapshot.Running.AddRange(running ?? []);
        snapshot.Waiting.AddRange(waiting ?? []);
        var plan = new StepPlan();
        StepPlanner.Plan(snapshot, plan);
        return plan;
    }

    private static StepSequence Sequence(int handle, int known) => new()
    {
        Handle = handle,
        Priority = 0,
        Arrival = handle,
        KnownTokens = known,
        ComputedTokens = 0,
        HeldBlocks = 0,
        Grows = true,
    };
}
