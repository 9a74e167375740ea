using System.Runtime.InteropServices;
using FsCheck;
using FsCheck.Fluent;
using Krewe.Control.Steps;

namespace Krewe.Control.Tests.Steps;

public sealed class StepPlannerProperties
{
    [Fact]
    public void Every_plan_can_be_carried_out_keeps_its_time_and_everything_ends()
    {
        var (preemptions, spills, timed) = (0, 0, 0);
        Prop.ForAll(Gen.Choose(0, int.MaxValue).ToArbitrary(), seed =>
        {
            var world = new PlannerWorld(StepPlanner.Plan, seed);
            world.Run();
            preemptions += world.Preemptions;
            spills += world.Spills;
            timed += world.TimedSteps;
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(100));

        // Loads that never filled the pool prove nothing.
        Assert.True(preemptions > 50, $"{preemptions} preemptions");
        Assert.InRange(spills, 10, preemptions - 10);
        Assert.True(timed > 1000, $"{timed} steps under an SLO");
    }

    [Fact]
    public void A_flood_of_higher_priority_delays_nobody_longer_than_its_head_start()
    {
        // Its own head start and prefill, and what was before it in the order: some tens of sequences of 24 tokens.
        var ms = new PlannerWorld(StepPlanner.Plan, 1).RunAgainstFlood();
        Assert.InRange(ms, StepOrder.PriorityHeadStartMs / 2, 2 * StepOrder.PriorityHeadStartMs);
    }

    /// <summary>Mistakes that a planner could make, and the rule that each must break.</summary>
    private static readonly (string Mistake, string Rule, Planner Planner)[] BrokenPlanners =
    [
        ("has no eye on the clock", "a step takes longer than its target",
            (snapshot, plan) => PlanWith(snapshot, plan, s => s.InterTokenSloMs = null)),
        ("counts no tokens", "more rows than the budget",
            (snapshot, plan) => PlanWith(snapshot, plan, s => s.BudgetTokens *= 2)),
        ("counts the same block twice", "a block is promised that is not there",
            (snapshot, plan) => PlanWith(snapshot, plan, s => s.AvailableBlocks *= 2)),
        ("lets prefills go first", "a decode does not come first",
            (snapshot, plan) =>
            {
                StepPlanner.Plan(snapshot, plan);
                plan.Continued.Sort((a, b) => b.Rows.CompareTo(a.Rows));
            }),
        ("forgets decodes when a prefill is there", "a decode does not come first",
            (snapshot, plan) =>
            {
                StepPlanner.Plan(snapshot, plan);
                if (plan.Continued.Exists(rows => rows.Rows > 1)) plan.Continued.RemoveAll(rows => rows.Rows == 1);
            }),
        ("takes turns whenever somebody waits", "not all sequences ended",
            (snapshot, plan) =>
            {
                StepPlanner.Plan(snapshot, plan);
                if (snapshot.Waiting.Count == 0 || snapshot.Running.Count == 0) return;
                plan.Continued.Clear();
                plan.Admitted.Clear();
                plan.Preempted.AddRange(snapshot.Running.Select(sequence => sequence.Handle));
            }),
    ];

    [Fact]
    public void The_search_catches_every_broken_planner()
    {
        foreach (var (mistake, rule, planner) in BrokenPlanners)
        {
            var found = Enumerable.Range(0, 300).Any(seed => BrokenRule(planner, seed) == rule);
            Assert.True(found, $"{mistake}, but \"{rule}\" was not found");
        }
    }

    [Fact]
    public void A_planner_without_age_is_caught_starving()
    {
        var ageless = new PlannerWorld(
            (snapshot, plan) => PlanWith(snapshot, plan, s =>
            {
                WithoutAge(s.Running);
                WithoutAge(s.Waiting);
            }), 1);
        var broken = Assert.Throws<BrokenRuleException>(() => ageless.RunAgainstFlood());
        Assert.Equal("a sequence starved", broken.Message);
    }

    private static string? BrokenRule(Planner planner, int seed)
    {
        try
        {
            new PlannerWorld(planner, seed).Run();
            return null;
        }
        catch (BrokenRuleException broken)
        {
            return broken.Message;
        }
    }

    private static void PlanWith(StepSnapshot snapshot, StepPlan plan, Action<StepSnapshot> spoil)
    {
        spoil(snapshot);
        StepPlanner.Plan(snapshot, plan);
    }

    private static void WithoutAge(List<StepSequence> sequences)
    {
        foreach (ref var sequence in CollectionsMarshal.AsSpan(sequences))
            sequence = sequence with { ArrivedMs = 0, ExpectedMs = 0 };
    }
}
