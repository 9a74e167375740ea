using Krewe.Control.Handoff;

namespace Krewe.Control.Tests.Handoff;

public sealed class BlockRunsTests
{
    [Fact]
    public void Blocks_become_runs_and_come_back()
    {
        var set = BlockRuns.Of([0, 1, 4, 7, 8, 9]);
        Assert.Equal([new BlockRun(0, 2), new BlockRun(4, 1), new BlockRun(7, 3)], set.Runs.ToArray());
        Assert.Equal((6, 10), (set.Count, set.End));
        Assert.Equal(set.Runs.ToArray(), BlockRuns.FromPairs([.. set.ToPairs()])!.Runs.ToArray());
    }

    [Fact]
    public void Members_and_gaps_are_found_from_every_block()
    {
        int[] blocks = [0, 1, 4, 7, 8, 9];
        var set = BlockRuns.Of(blocks);
        for (var from = 0; from < 12; from++)
        {
            Assert.Equal(Enumerable.Range(from, 20).First(block => !blocks.Contains(block)), set.SkipFrom(from));
            var next = blocks.Append(20).First(block => block >= from);
            Assert.Equal(next, set.NextFrom(from, limit: 20));
            if (from <= 5) Assert.Equal(Math.Min(5, next), set.NextFrom(from, limit: 5));
        }

        Assert.Equal(3, BlockRuns.None.SkipFrom(3));
        Assert.Equal(5, BlockRuns.None.NextFrom(3, 5));
    }

    [Fact]
    public void A_set_of_too_many_runs_keeps_the_first_ones()
    {
        var set = BlockRuns.Of([0, 2, 3, 5, 7], runsMax: 2);
        Assert.Equal([new BlockRun(0, 1), new BlockRun(2, 2)], set.Runs.ToArray());
    }

    [Theory]
    [InlineData(1u)] // half a pair
    [InlineData(4u, 0u)] // empty run
    [InlineData(4u, 2u, 5u, 1u)] // overlap
    [InlineData(4u, 2u, 6u, 1u)] // touching: the writer would have joined them
    [InlineData(4u, 2u, 1u, 1u)] // descending
    [InlineData(4u, uint.MaxValue)] // beyond every index
    [InlineData(uint.MaxValue, 1u)]
    public void Numbers_that_are_no_set_are_refused(params uint[] pairs) => Assert.Null(BlockRuns.FromPairs(pairs));
}
