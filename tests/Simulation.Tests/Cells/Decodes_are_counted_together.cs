namespace Krewe.Simulation.Tests.Cells;

/// <summary>
/// Sequences that only decode are advanced by one count for all (<see cref="DecodeGroup"/>). That must be seen in
/// nothing but the time it takes.
/// </summary>
public sealed class Decodes_are_counted_together
{
    public static TheoryData<CellMode, int, int, bool> Cases
    {
        get
        {
            var cases = new TheoryData<CellMode, int, int, bool>();
            foreach (var mode in new[] { CellMode.Disagg, CellMode.Chunked, CellMode.Coloc })
            {
                cases.Add(mode, 64_000, 16, false);
                cases.Add(mode, 64_000, 16, true);
                cases.Add(mode, 8_000, 16, false); // sequences lose their blocks
                cases.Add(mode, 8_000, 1, true);
                cases.Add(mode, 64_000, 256, false); // blocks longer than the group looks ahead
            }

            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Every_outcome_is_that_of_looking_at_each(CellMode mode, int capacity, int blockTokens, bool outages)
    {
        var options = Cells.Options(mode, 2, 2) with
        {
            CapacityTokens = capacity,
            BlockTokens = blockTokens,
            StepBudgetTokens = capacity == 8_000 ? 24 : 512,
            Outages = outages
                ? [new WorkerOutage(3_000_000_000, 2, false), new WorkerOutage(6_000_000_000, 2, true)]
                : [],
        };
        var trace = Cells.Mixed(capacity == 8_000 ? 60 : 150, capacity == 8_000 ? 8 : 30);

        var together = new CellSimulator(options, trace);
        var each = new CellSimulator(options, trace) { LooksAtEach = true };
        var (expected, actual) = (each.Run(), together.Run());

        Assert.Equal(expected.Outcomes, actual.Outcomes);
        Assert.Equal((expected.Steps, expected.Events), (actual.Steps, actual.Events));
        Assert.Equal(expected.VirtualSeconds, actual.VirtualSeconds);
        Assert.Equal(0, each.TokensTogether);
        Assert.InRange(together.TokensTogether, 500, long.MaxValue);
    }

    [Fact]
    public void A_part_of_a_group_is_looked_at_for_a_block_and_before_its_last_token()
    {
        var group = new DecodeGroup(16);
        var trace = Cells.Of(new TraceRequest(0, 10, 100));
        var request = new CellRequest(0);
        request.Begin(0, trace.Requests[0], trace, 16, 0);
        var part = new CellPart();
        part.Begin(request, null!, arrival: 1, grows: true, pulls: false);
        (part.HeldBlocks, part.KnownTokens, part.ComputedTokens) = (2, 30, 29);
        var looked = new List<int>();

        group.Enter(part);
        for (var step = 0; step < 20; step++)
        {
            group.BeginStep(grown =>
            {
                looked.Add(step);
                grown.HeldBlocks++;
            });
            group.EndStep();
        }

        // 30, 31 and 32 tokens fit into two blocks; the block for the 33rd has room for 16.
        Assert.Equal([3, 19], looked);
        Assert.Equal((50, 49), (part.KnownTokens, part.ComputedTokens));
        Assert.Equal(50, group.ContextTokens);
        group.Leave(part);
        Assert.Equal((50, 49, 0L), (part.KnownTokens, part.ComputedTokens, group.ContextTokens));
    }
}
