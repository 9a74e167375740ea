namespace Krewe.Simulation;

/// <summary>A measured function of one variable: linear between points, in proportion beyond the last.</summary>
internal sealed class Curve
{
    private readonly double[] _x;
    private readonly double[] _y;

    /// <summary>Points in any order; the mean of those with equal x.</summary>
    public Curve(IEnumerable<(double X, double Y)> points)
    {
        var sorted = points.GroupBy(p => p.X).OrderBy(g => g.Key).ToArray();
        _x = [.. sorted.Select(g => g.Key)];
        _y = [.. sorted.Select(g => g.Average(p => p.Y))];
        if (_x.Length == 0) throw new ArgumentException("A curve needs at least one point.", nameof(points));
    }

    public double Last => _x[^1];

    public double At(double x)
    {
        if (x <= _x[0]) return _y[0];
        if (x >= _x[^1]) return _y[^1] * x / _x[^1];
        var above = Array.BinarySearch(_x, x);
        if (above >= 0) return _y[above];
        above = ~above;
        var part = (x - _x[above - 1]) / (_x[above] - _x[above - 1]);
        return _y[above - 1] + (part * (_y[above] - _y[above - 1]));
    }
}
