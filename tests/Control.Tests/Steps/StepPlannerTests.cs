using Krewe.Control.Steps;

namespace Krewe.Control.Tests.Steps;

public sealed class StepPlannerTests
{
    [Fact]
    public void Decodes_go_first_and_a_prefill_takes_what_is_left()
    {
        var plan = Plan(budget: 10, available: 100, running:
        [
            Sequence(1, arrival: 1, known: 40, computed: 0, held: 3),
            Sequence(2, arrival: 2, known: 21, computed: 20, held: 2),
            Sequence(3, arrival: 3, known: 6, computed: 5, held: 1),
        ]);
        Assert.Equal([new(2, 1), new(3, 1), new(1, 8)], plan.Continued);
    }

    [Fact]
    public void The_rows_never_exceed_the_budget_and_admission_stops_at_it()
    {
        var plan = Plan(budget: 32, available: 100, waiting:
        [
            Sequence(1, arrival: 1, known: 20),
            Sequence(2, arrival: 2, known: 20),
            Sequence(3, arrival: 3, known: 20),
        ]);
        Assert.Equal([new(1, 20), new(2, 12)], plan.Admitted);
    }

    [Fact]
    public void Admission_follows_priority_then_arrival_and_stops_at_the_first_that_does_not_fit()
    {
        var plan = Plan(budget: 512, available: 4, waiting:
        [
            Sequence(1, arrival: 1, known: 16),
            Sequence(2, arrival: 2, known: 80),
            Sequence(3, arrival: 3, known: 16, priority: 5),
            Sequence(4, arrival: 4, known: 16),
        ]);
        Assert.Equal([3, 1], plan.Admitted.Select(rows => rows.Handle));
    }

    [Fact]
    public void A_prefix_hit_needs_fewer_blocks_and_rows_but_pins_evictable_ones()
    {
        var hit = Sequence(1, arrival: 1, known: 40) with { HitBlocks = 2, HitEvictableBlocks = 2 };
        Assert.Equal([new(1, 8)], Plan(budget: 512, available: 3, waiting: [hit]).Admitted);
        Assert.Empty(Plan(budget: 512, available: 2, waiting: [hit]).Admitted);
    }

    [Fact]
    public void A_pull_is_admitted_by_reserving_and_costs_no_rows()
    {
        var plan = Plan(budget: 1, available: 10, waiting:
        [
            Sequence(1, arrival: 1, known: 40) with { Pulls = true },
        ]);
        Assert.Equal([new(1, 0)], plan.Admitted);
    }

    [Fact]
    public void A_decode_without_a_block_preempts_the_youngest_of_the_lowest_priority()
    {
        var plan = Plan(budget: 512, available: 0, running:
        [
            Sequence(1, arrival: 1, known: 17, computed: 16, held: 1, releasable: 1),
            Sequence(2, arrival: 2, known: 9, computed: 8, held: 1, releasable: 1, priority: -1),
            Sequence(3, arrival: 3, known: 9, computed: 8, held: 1, releasable: 1),
        ], waiting: [Sequence(4, arrival: 4, known: 1)]);
        Assert.Equal([2], plan.Preempted);
        Assert.Equal([new(1, 1), new(3, 1)], plan.Continued);
        Assert.Empty(plan.Admitted);
    }

    [Fact]
    public void A_decode_that_is_last_in_order_preempts_itself()
    {
        var plan = Plan(budget: 512, available: 0, running:
        [
            Sequence(1, arrival: 1, known: 9, computed: 8, held: 1, releasable: 1),
            Sequence(2, arrival: 2, known: 17, computed: 16, held: 1, releasable: 1),
        ]);
        Assert.Equal([2], plan.Preempted);
        Assert.Equal([new(1, 1)], plan.Continued);
    }

    [Fact]
    public void A_sequence_that_does_not_grow_is_never_preempted()
    {
        var plan = Plan(budget: 512, available: 0, running:
        [
            Sequence(1, arrival: 1, known: 17, computed: 16, held: 1, releasable: 1),
            Sequence(2, arrival: 2, known: 40, computed: 16, held: 3, releasable: 3),
            Sequence(3, arrival: 3, known: 40, computed: 16, held: 3, releasable: 3) with { Grows = false },
            Sequence(4, arrival: 4, known: 33, computed: 32, held: 3, releasable: 3) with { Grows = false },
        ]);
        Assert.Equal([2], plan.Preempted);
        Assert.Equal([new(1, 1), new(4, 1), new(3, 24)], plan.Continued);
    }

    [Fact]
    public void Shared_blocks_do_not_count_as_won_by_a_preemption()
    {
        var plan = Plan(budget: 512, available: 0, running:
        [
            Sequence(1, arrival: 1, known: 17, computed: 16, held: 1, releasable: 1),
            Sequence(2, arrival: 2, known: 17, computed: 16, held: 1, releasable: 1),
            Sequence(3, arrival: 3, known: 9, computed: 8, held: 1, releasable: 0),
        ]);
        Assert.Equal([3, 2], plan.Preempted);
    }

    [Fact]
    public void Admission_leaves_a_block_for_each_sequence_that_grows()
    {
        var running = Sequence(1, arrival: 1, known: 9, computed: 8, held: 1);
        var waiting = Sequence(2, arrival: 2, known: 32);
        Assert.Empty(Plan(budget: 512, available: 2, running: [running], waiting: [waiting]).Admitted);
        Assert.Single(Plan(budget: 512, available: 3, running: [running], waiting: [waiting]).Admitted);
        Assert.Single(Plan(budget: 512, available: 2, waiting: [waiting]).Admitted);
    }

    [Fact]
    public void No_more_sequences_run_than_allowed_or_than_the_budget_has_tokens()
    {
        StepSequence[] waiting = [.. Enumerable.Range(1, 9).Select(i => Sequence(i, arrival: i, known: 1))];
        Assert.Equal(4, Plan(budget: 512, available: 100, sequencesMax: 4, waiting: waiting).Admitted.Count);
        Assert.Equal(3, Plan(budget: 3, available: 100, waiting: waiting).Admitted.Count);
        Assert.Equal(2,
            Plan(budget: 512, available: 100, sequencesMax: 4, receiving: 2, waiting: waiting).Admitted.Count);
    }

    private static StepPlan Plan(
        int budget, int available, StepSequence[]? running = null, StepSequence[]? waiting = null,
        int sequencesMax = 256, int receiving = 0)
    {
        var snapshot = new StepSnapshot
        {
            BudgetTokens = budget,
            SequencesMax = sequencesMax,
            BlockTokens = 16,
            AvailableBlocks = available,
            ReceivingSequences = receiving,
        };
        snapshot.Running.AddRange(running ?? []);
        snapshot.Waiting.AddRange(waiting ?? []);
        var plan = new StepPlan();
        StepPlanner.Plan(snapshot, plan);
        return plan;
    }

    private static StepSequence Sequence(
        int handle, long arrival, int known, int computed = 0, int held = 0, int releasable = 0,
        int priority = 0) => new()
        {
            Handle = handle,
            Priority = priority,
            Arrival = arrival,
            KnownTokens = known,
            ComputedTokens = computed,
            HeldBlocks = held,
            ReleasableBlocks = releasable,
            Grows = true,
        };
}
