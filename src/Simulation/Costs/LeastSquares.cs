namespace Krewe.Simulation;

/// <summary>
/// Linear fits that minimise the relative error, as DistServe's do: a millisecond matters more in a short step.
/// </summary>
internal static class LeastSquares
{
    /// <summary>
    /// Coefficients x with rows * x ~ values. <paramref name="rows"/> = [n][k] features; a column without influence
    /// gets 0.
    /// </summary>
    public static double[] FitRelative(IReadOnlyList<double[]> rows, IReadOnlyList<double> values)
    {
        var k = rows[0].Length;
        var a = new double[k, k + 1];
        for (var r = 0; r < rows.Count; r++)
        {
            for (var i = 0; i < k; i++)
            {
                var left = rows[r][i] / values[r];
                for (var j = 0; j < k; j++) a[i, j] += left * rows[r][j] / values[r];
                a[i, k] += left;
            }
        }

        return Solve(a, k);
    }

    // Gauss-Jordan with row pivots; k is 3.
    private static double[] Solve(double[,] a, int k)
    {
        for (var column = 0; column < k; column++)
        {
            var pivot = column;
            for (var row = column + 1; row < k; row++)
            {
                if (Math.Abs(a[row, column]) > Math.Abs(a[pivot, column])) pivot = row;
            }

            if (Math.Abs(a[pivot, column]) < 1e-30) continue;
            for (var j = 0; j <= k; j++) (a[column, j], a[pivot, j]) = (a[pivot, j], a[column, j]);
            for (var row = 0; row < k; row++)
            {
                if (row == column) continue;
                var factor = a[row, column] / a[column, column];
                for (var j = column; j <= k; j++) a[row, j] -= factor * a[column, j];
            }
        }

        var x = new double[k];
        for (var i = 0; i < k; i++) x[i] = Math.Abs(a[i, i]) < 1e-30 ? 0 : a[i, k] / a[i, i];
        return x;
    }
}
