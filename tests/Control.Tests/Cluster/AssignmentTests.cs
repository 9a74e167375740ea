using Krewe.Control.Cluster;

namespace Krewe.Control.Tests.Cluster;

public class AssignmentTests
{
    [Theory, InlineData(1), InlineData(2), InlineData(3)]
    public void It_gives_as_much_as_trying_everything(int seed)
    {
        var random = new Random(seed);
        for (var round = 0; round < 100; round++)
        {
            var rows = random.Next(1, 7);
            var columns = random.Next(rows, 8);
            var weights = new long[rows, columns];
            for (var i = 0; i < rows; i++)
            {
                for (var j = 0; j < columns; j++) weights[i, j] = random.Next(-5, 20);
            }

            var assigned = Assignment.Maximise(weights);
            Assert.Equal(rows, assigned.Distinct().Count());
            Assert.Equal(Best(weights, 0, new bool[columns]), Sum(weights, assigned));
        }
    }

    [Fact]
    public void The_check_above_notices_a_greedy_assignment()
    {
        // Row 0 takes 10, leaving row 1 with 0: 10. The other way round it is 9 + 9.
        long[,] weights = { { 10, 9 }, { 9, 0 } };
        Assert.True(Sum(weights, [0, 1]) < Best(weights, 0, new bool[2]));
        Assert.Equal([1, 0], Assignment.Maximise(weights));
    }

    [Fact]
    public void More_rows_than_columns_are_refused() =>
        Assert.Throws<ArgumentException>(() => Assignment.Maximise(new long[3, 2]));

    private static long Sum(long[,] weights, int[] assigned) => assigned.Select((j, i) => weights[i, j]).Sum();

    private static long Best(long[,] weights, int row, bool[] taken)
    {
        if (row == weights.GetLength(0)) return 0;
        var best = long.MinValue;
        for (var j = 0; j < taken.Length; j++)
        {
            if (taken[j]) continue;
            taken[j] = true;
            best = Math.Max(best, weights[row, j] + Best(weights, row + 1, taken));
            taken[j] = false;
        }

        return best;
    }
}
