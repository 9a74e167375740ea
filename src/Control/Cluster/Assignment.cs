namespace Krewe.Control.Cluster;

/// <summary>
/// Maximum-weight matching of a complete bipartite graph (Kuhn and Munkres), by shortest augmenting paths with
/// potentials: O(rows² · columns).
/// </summary>
public static class Assignment
{
    /// <summary>
    /// For each row the column it is given, each column at most once, so that the weights add up to the most. Rows may
    /// not outnumber columns. Ties are broken the same way every time.
    /// </summary>
    public static int[] Maximise(long[,] weights)
    {
        ArgumentNullException.ThrowIfNull(weights);
        var (rows, columns) = (weights.GetLength(0), weights.GetLength(1));
        if (rows > columns)
            throw new ArgumentException($"{rows} rows cannot all have one of {columns} columns.", nameof(weights));

        // Index 0 stands for "nobody": rows and columns count from 1. Costs are negated weights.
        var rowPotential = new long[rows + 1];
        var columnPotential = new long[columns + 1];
        var rowOf = new int[columns + 1];
        var previous = new int[columns + 1];
        for (var row = 1; row <= rows; row++)
        {
            rowOf[0] = row;
            var column = 0;
            var slack = new long[columns + 1];
            Array.Fill(slack, long.MaxValue);
            var done = new bool[columns + 1];
            do
            {
                done[column] = true;
                var (least, next) = (long.MaxValue, 0);
                for (var j = 1; j <= columns; j++)
                {
                    if (done[j]) continue;
                    var reduced = -weights[rowOf[column] - 1, j - 1]
                        - rowPotential[rowOf[column]] - columnPotential[j];
                    if (reduced < slack[j]) (slack[j], previous[j]) = (reduced, column);
                    if (slack[j] < least) (least, next) = (slack[j], j);
                }

                for (var j = 0; j <= columns; j++)
                {
                    if (done[j])
                    {
                        rowPotential[rowOf[j]] += least;
                        columnPotential[j] -= least;
                    }
                    else if (j > 0) slack[j] -= least;
                }

                column = next;
            }
            while (rowOf[column] != 0);

            for (; column != 0; column = previous[column]) rowOf[column] = rowOf[previous[column]];
        }

        var assigned = new int[rows];
        for (var j = 1; j <= columns; j++)
        {
            if (rowOf[j] > 0) assigned[rowOf[j] - 1] = j - 1;
        }

        return assigned;
    }
}
