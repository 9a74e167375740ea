using System.Runtime.InteropServices;

namespace Krewe.Control.Steps;

/// <summary>
/// Stall-free continuous batching (Sarathi-Serve, OSDI'24, algorithm 3): every decode first, then prefills, under way
/// or newly admitted, in one order (<see cref="StepOrder"/>) within what the inter-token SLO leaves of the step
/// (<see cref="StepRoom"/>), so that a long prompt never delays a running stream by more than one chunk. Pure: the
/// plan is a function of the snapshot.
/// </summary>
public static class StepPlanner
{
    /// <summary>Fills <paramref name="plan"/>. Sorts the snapshot's lists and takes preempted sequences out.</summary>
    public static void Plan(StepSnapshot snapshot, StepPlan plan)
    {
        plan.Clear();
        Sort(snapshot.Running);
        Sort(snapshot.Waiting);
        var room = new StepRoom(snapshot);
        PlanPromotion(snapshot, plan, ref room);
        PlanDecodes(snapshot, plan, ref room);
        room.EndDecodes();
        PlanPrefills(snapshot, plan, ref room);
    }

    // From step to step hardly anything changes its place: one look is cheaper than a sort.
    private static void Sort(List<StepSequence> sequences)
    {
        var items = CollectionsMarshal.AsSpan(sequences);
        for (var i = 1; i < items.Length; i++)
        {
            if (StepOrder.Compare(items[i - 1], items[i]) <= 0) continue;
            items.Sort(StepOrder.Compare);
            return;
        }
    }

    /// <summary>
    /// Where the first waiting sequence does not fit, running ones of lower priority that come after it in the order
    /// give way, if that makes it fit. It is admitted in a later step, when their blocks are back.
    /// </summary>
    private static void PlanPromotion(StepSnapshot snapshot, StepPlan plan, ref StepRoom room)
    {
        if (snapshot.Waiting.Count == 0) return;
        var first = snapshot.Waiting[0];
        var places = Places(snapshot);
        var missing = BlocksToAdmit(first, snapshot) + Growing(snapshot) - room.Blocks;
        if (places > 0 && missing <= 0) return;
        var from = snapshot.Running.Count;
        for (var won = 0; places <= 0 || missing > won;)
        {
            if (--from < 0) return;
            if (!GivesWay(snapshot.Running[from], first)) continue;
            won += snapshot.Running[from].ReleasableBlocks + 1; // and the block that was kept for its growth
            places++;
        }

        for (var i = snapshot.Running.Count - 1; i >= from; i--)
        {
            if (GivesWay(snapshot.Running[i], first)) Preempt(i, snapshot, plan, ref room);
        }
    }

    private static bool GivesWay(in StepSequence running, in StepSequence first) =>
        running.Grows && running.Priority < first.Priority && StepOrder.Compare(running, first) > 0;

    /// <summary>
    /// One row for each decode. One that needs a block when none is left takes it from the last growing sequence in
    /// order, which may be itself. A sequence that does not grow is no victim: a puller may be reading its blocks.
    /// </summary>
    private static void PlanDecodes(StepSnapshot snapshot, StepPlan plan, ref StepRoom room)
    {
        for (var i = 0; i < snapshot.Running.Count && room.Tokens > 0; i++)
        {
            var sequence = snapshot.Running[i];
            if (Remaining(sequence) != 1) continue;
            var missing = Math.Max(0, BlocksFor(sequence.KnownTokens, snapshot.BlockTokens) - sequence.HeldBlocks);
            while (missing > room.Blocks && LastGrowing(snapshot, i) is { } victim)
                Preempt(victim, snapshot, plan, ref room);
            if (missing > room.Blocks)
            {
                // Nobody behind it is left to give, so it gives way itself; the next in its place is looked at again.
                if (sequence.Grows) Preempt(i--, snapshot, plan, ref room);
                continue;
            }

            room.Blocks -= missing;
            room.TakeDecode(sequence.KnownTokens);
            plan.Continued.Add(new PlannedRows(sequence.Handle, 1));
        }
    }

    private static int? LastGrowing(StepSnapshot snapshot, int after)
    {
        for (var i = snapshot.Running.Count - 1; i > after; i--)
        {
            if (snapshot.Running[i].Grows) return i;
        }

        return null;
    }

    private static void Preempt(int index, StepSnapshot snapshot, StepPlan plan, ref StepRoom room)
    {
        var victim = snapshot.Running[index];
        plan.Preempted.Add(victim.Handle);
        if (PreemptionCost.SpillIsCheaper(victim, snapshot)) plan.Spilled.Add(victim.Handle);
        room.Blocks += victim.ReleasableBlocks;
        snapshot.Running.RemoveAt(index);
    }

    /// <summary>
    /// Prefills under way and waiting sequences, merged in order. An admission that does not fit ends the admissions,
    /// or a long prompt would wait for ever behind short ones.
    /// </summary>
    private static void PlanPrefills(StepSnapshot snapshot, StepPlan plan, ref StepRoom room)
    {
        // Blocks just taken from a sequence must not go to a new one: the two would preempt each other for ever.
        var waiting = plan.Preempted.Count == 0 ? snapshot.Waiting.Count : 0;
        var (places, growing) = (Places(snapshot), Growing(snapshot));
        var (next, full) = (0, false);
        for (var i = 0; i < snapshot.Running.Count; i++)
        {
            var sequence = snapshot.Running[i];
            var remaining = Remaining(sequence);
            if (remaining == 1) continue;
            while (next < waiting && StepOrder.Compare(snapshot.Waiting[next], sequence) < 0)
            {
                if (TryAdmit(snapshot.Waiting[next++], snapshot, plan, ref places, ref growing, ref room)) continue;
                waiting = 0;
            }

            var rows = full ? 0 : room.ChunkRows(sequence.ComputedTokens, remaining, IsLeisure(sequence));
            full = rows == 0; // those behind it must not pass it; a pull needs no rows and may
            if (full) continue;
            room.TakePrefill(sequence.ComputedTokens, rows);
            plan.Continued.Add(new PlannedRows(sequence.Handle, rows));
        }

        while (next < waiting && TryAdmit(snapshot.Waiting[next], snapshot, plan, ref places, ref growing, ref room))
            next++;
    }

    /// <summary>
    /// Whoever is admitted gets blocks for all its known tokens, so that a prefill under way never needs another, and
    /// leaves one block for each sequence that still grows, so that it is not preempted at once.
    /// </summary>
    private static bool TryAdmit(
        in StepSequence sequence, StepSnapshot snapshot, StepPlan plan, ref int places, ref int growing,
        ref StepRoom room)
    {
        var blocks = BlocksToAdmit(sequence, snapshot);
        if (places <= 0 || blocks + growing > room.Blocks) return false;
        var computed = sequence.HitBlocks * snapshot.BlockTokens;
        var rows = sequence.Pulls
            ? 0
            : room.ChunkRows(computed, sequence.KnownTokens - computed, IsLeisure(sequence));
        if (rows == 0 && !sequence.Pulls) return false;
        if (rows > 0) room.TakePrefill(computed, rows);
        room.Blocks -= blocks;
        places--;
        growing += sequence.Grows ? 1 : 0;
        plan.Admitted.Add(new PlannedRows(sequence.Handle, rows));
        return true;
    }

    private static bool IsLeisure(in StepSequence sequence) => sequence.Priority <= StepOrder.LeisurePriority;

    /// <summary>No more sequences than budget tokens: then every decode has its row in every step.</summary>
    private static int Places(StepSnapshot snapshot) =>
        Math.Min(snapshot.SequencesMax, snapshot.BudgetTokens)
        - snapshot.Running.Count - snapshot.ReceivingSequences;

    private static int Growing(StepSnapshot snapshot)
    {
        var growing = snapshot.ReceivingSequences;
        foreach (var sequence in snapshot.Running) growing += sequence.Grows ? 1 : 0;
        return growing;
    }

    private static int BlocksToAdmit(in StepSequence sequence, StepSnapshot snapshot) =>
        BlocksFor(sequence.KnownTokens, snapshot.BlockTokens) - sequence.HitBlocks + sequence.HitEvictableBlocks;

    private static int Remaining(in StepSequence sequence) => sequence.KnownTokens - sequence.ComputedTokens;

    private static int BlocksFor(int tokens, int blockTokens) => (tokens + blockTokens - 1) / blockTokens;
}
