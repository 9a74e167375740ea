namespace Krewe.Workers.Tests.Runner;

public sealed class AttentionPlanTests
{
    public static TheoryData<int, int, int> Shapes => new()
    {
        { 12, 4, 1 }, { 12, 4, 3 }, { 8, 8, 2 }, { 40, 2, 2 }, { 7, 1, 5 }, { 2, 1, 64 },
    };

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Every_row_and_head_is_in_exactly_one_piece_of_one_thread(int heads, int kvHeads, int threads)
    {
        var plan = new AttentionPlan(heads, kvHeads, threads);
        var batch = Batch();
        plan.PlanAll(batch);
        var seen = Covered(plan, threads, heads, kvHeads, batch);
        Assert.Equal(batch.RowCount * heads, seen.Count);
        Assert.All(seen, place => Assert.Equal(place.QueryRow, place.OutputRow));
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Only_rows_with_logits_are_in_the_last_layers_plan_and_their_results_are_dense(
        int heads, int kvHeads, int threads)
    {
        var plan = new AttentionPlan(heads, kvHeads, threads);
        var batch = Batch();
        plan.PlanLogitRows(batch);
        var seen = Covered(plan, threads, heads, kvHeads, batch);
        Assert.Equal(batch.LogitRowCount * heads, seen.Count);
        Assert.All(seen, place => Assert.Equal(batch.LogitRows[place.OutputRow], place.QueryRow));
    }

    [Fact]
    public void Threads_get_about_equal_shares_of_the_walk_over_positions()
    {
        var plan = new AttentionPlan(heads: 4, kvHeads: 4, threads: 2);
        var batch = new StepBatch();
        batch.Add(new int[600], 0, [.. Enumerable.Range(0, 40)], 16, wantLogits: true);
        plan.PlanAll(batch);
        long first = 0, second = 0;
        foreach (var piece in plan.Of(0)) first += piece.FirstPosition;
        foreach (var piece in plan.Of(1)) second += piece.FirstPosition;
        Assert.InRange((double)first / second, 0.8, 1.25);
    }

    [Fact]
    public void An_empty_step_has_no_pieces()
    {
        var plan = new AttentionPlan(heads: 4, kvHeads: 2, threads: 2);
        plan.PlanAll(Batch());
        plan.PlanAll(new StepBatch());
        Assert.True(plan.Of(0).IsEmpty);
        Assert.True(plan.Of(1).IsEmpty);
    }

    /// <summary>
    /// A chunk in the middle of a prompt, two decodes, a whole prompt; all but the chunk want logits.
    /// </summary>
    private static StepBatch Batch()
    {
        var batch = new StepBatch();
        batch.Add(new int[37], 20, [.. Enumerable.Range(0, 4)], 16, wantLogits: false);
        batch.Add([1], 99, [.. Enumerable.Range(4, 7)], 16, wantLogits: true);
        batch.Add([1], 0, [11], 16, wantLogits: true);
        batch.Add(new int[19], 0, [12, 13], 16, wantLogits: true);
        return batch;
    }

    /// <summary>The (query row, output row, head) triples of all pieces; checks each piece on the way.</summary>
    private static HashSet<(int QueryRow, int OutputRow, int Head)> Covered(
        AttentionPlan plan, int threads, int heads, int kvHeads, StepBatch batch)
    {
        var seen = new HashSet<(int, int, int)>();
        for (var thread = 0; thread < threads; thread++)
        {
            foreach (var piece in plan.Of(thread))
            {
                Assert.InRange(piece.Rows * piece.Heads, 1, Kernels.AttentionWork.MaxQueries);
                var group = heads / kvHeads;
                Assert.Equal(piece.FirstHead / group, (piece.FirstHead + piece.Heads - 1) / group);
                for (var row = 0; row < piece.Rows; row++)
                {
                    Assert.Equal(batch.Positions[piece.QueryRow + row], piece.FirstPosition + row);
                    for (var head = 0; head < piece.Heads; head++)
                        Assert.True(seen.Add((piece.QueryRow + row, piece.OutputRow + row, piece.FirstHead + head)));
                }
            }
        }

        return seen;
    }
}
