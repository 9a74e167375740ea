namespace Krewe.Control.Steps;

/// <summary>
/// Stall-free continuous batching (Sarathi-Serve, OSDI'24, algorithm 3): every decode first, then prefills under way,
/// then admissions, all under one token budget, so that a long prompt never delays a running stream by more than one
/// chunk. Pure: the plan is a function of the snapshot. Order everywhere: higher priority, then earlier arrival.
/// </summary>
public static class StepPlanner
{
    /// <summary>Fills <paramref name="plan"/>. Sorts the snapshot's lists.</summary>
    public static void Plan(StepSnapshot snapshot, StepPlan plan)
    {
        plan.Clear();
        snapshot.Running.Sort(ByOrder);
        snapshot.Waiting.Sort(ByOrder);
        var budget = new Budget { Tokens = snapshot.BudgetTokens, Blocks = snapshot.AvailableBlocks };

        var victims = PlanDecodes(snapshot, plan, ref budget);
        PlanPrefills(snapshot, plan, victims, ref budget);

        // Blocks just taken from a sequence must not go to a new one: the two would preempt each other for ever.
        if (plan.Preempted.Count == 0) PlanAdmissions(snapshot, plan, ref budget);
    }

    /// <summary>
    /// One row for each decode. One that needs a block when none is left takes it from the last growing sequence in
    /// order, which may be itself. A sequence that does not grow is no victim: a puller may be reading its blocks.
    /// Returns the index from which on every growing sequence was preempted.
    /// </summary>
    private static int PlanDecodes(StepSnapshot snapshot, StepPlan plan, ref Budget budget)
    {
        var victims = snapshot.Running.Count;
        for (var i = 0; i < snapshot.Running.Count && budget.Tokens > 0; i++)
        {
            var sequence = snapshot.Running[i];
            if (Remaining(sequence) != 1 || (i >= victims && sequence.Grows)) continue;
            var missing = Math.Max(0, BlocksFor(sequence.KnownTokens, snapshot.BlockTokens) - sequence.HeldBlocks);
            while (missing > budget.Blocks && victims > i)
            {
                var victim = snapshot.Running[--victims];
                if (!victim.Grows) continue;
                plan.Preempted.Add(victim.Handle);
                budget.Blocks += victim.ReleasableBlocks;
            }

            if (i >= victims && sequence.Grows) continue;
            budget.Blocks -= missing;
            budget.Tokens--;
            plan.Continued.Add(new PlannedRows(sequence.Handle, 1));
        }

        return victims;
    }

    private static void PlanPrefills(StepSnapshot snapshot, StepPlan plan, int victims, ref Budget budget)
    {
        for (var i = 0; i < snapshot.Running.Count && budget.Tokens > 0; i++)
        {
            var sequence = snapshot.Running[i];
            var remaining = Remaining(sequence);
            if (remaining == 1 || (i >= victims && sequence.Grows)) continue;
            var rows = Math.Min(remaining, budget.Tokens);
            budget.Tokens -= rows;
            plan.Continued.Add(new PlannedRows(sequence.Handle, rows));
        }
    }

    /// <summary>
    /// First come, first served within a priority: the first that does not fit stops the rest, or a long prompt would
    /// wait for ever behind short ones. Whoever is admitted gets blocks for all its known tokens, so that a prefill
    /// under way never needs another, and leaves one block for each sequence that still grows, so that it is not
    /// preempted at once.
    /// </summary>
    private static void PlanAdmissions(StepSnapshot snapshot, StepPlan plan, ref Budget budget)
    {
        // No more sequences than budget tokens: then every decode has its row in every step.
        var places = Math.Min(snapshot.SequencesMax, snapshot.BudgetTokens)
            - snapshot.Running.Count - snapshot.ReceivingSequences;
        var growing = snapshot.ReceivingSequences;
        foreach (var sequence in snapshot.Running) growing += sequence.Grows ? 1 : 0;

        foreach (var sequence in snapshot.Waiting)
        {
            if (places-- <= 0 || (budget.Tokens == 0 && !sequence.Pulls)) return;
            var blocks = BlocksFor(sequence.KnownTokens, snapshot.BlockTokens)
                - sequence.HitBlocks + sequence.HitEvictableBlocks;
            if (blocks + growing > budget.Blocks) return;
            var remaining = sequence.KnownTokens - (sequence.HitBlocks * snapshot.BlockTokens);
            var rows = sequence.Pulls ? 0 : Math.Min(remaining, budget.Tokens);
            budget.Blocks -= blocks;
            budget.Tokens -= rows;
            growing += sequence.Grows ? 1 : 0;
            plan.Admitted.Add(new PlannedRows(sequence.Handle, rows));
        }
    }

    private static int Remaining(StepSequence sequence) => sequence.KnownTokens - sequence.ComputedTokens;

    private static int BlocksFor(int tokens, int blockTokens) => (tokens + blockTokens - 1) / blockTokens;

    private static int ByOrder(StepSequence a, StepSequence b) =>
        a.Priority != b.Priority ? b.Priority.CompareTo(a.Priority) : a.Arrival.CompareTo(b.Arrival);

    private struct Budget
    {
        public int Tokens;
        public int Blocks;
    }
}
