namespace Krewe.Cli;

/// <summary>One phase with one number of sequences: tokens a second of each layer, from above.</summary>
/// <param name="Phase">"prefill" or "decode".</param>
/// <param name="Concurrency">Sequences.</param>
/// <param name="Layers">Names from above, the limit last.</param>
/// <param name="TokensPerSecond">Of each of them.</param>
/// <param name="Holds">No layer is faster than the one below it.</param>
internal sealed record LayerChain(
    string Phase, int Concurrency, IReadOnlyList<string> Layers, IReadOnlyList<double> TokensPerSecond, bool Holds);

/// <summary>
/// serving &lt;= engine &lt;= runner &lt;= kernel &lt;= limit: each layer does all that the one below it does. A run in
/// which one is faster was disturbed while the one below was measured, and says nothing.
/// </summary>
internal static class LayerOrder
{
    /// <summary>Two measurements of the same thing differ by as much on a machine at rest.</summary>
    public const double Tolerance = 0.05;

    private static readonly string[] FromAbove = ["serving", "engine", "runner", "kernel", "limit"];

    public static IReadOnlyList<LayerChain> Of(IReadOnlyList<LayerFigures> results) =>
    [
        .. from concurrency in results.Select(row => row.Concurrency).Distinct()
           from phase in (string[])["prefill", "decode"]
           select Chain(phase, [.. results.Where(row => row.Concurrency == concurrency)]),
    ];

    private static LayerChain Chain(string phase, LayerFigures[] rows)
    {
        var sorted = rows.OrderBy(row => Array.IndexOf(FromAbove, row.Layer)).ToArray();
        var speeds = sorted
            .Select(row => phase == "prefill" ? row.PrefillTokensPerSecond : row.DecodeTokensPerSecond)
            .ToArray();
        var holds = speeds.Zip(speeds.Skip(1)).All(pair => pair.First <= pair.Second * (1 + Tolerance));
        return new LayerChain(
            phase, rows[0].Concurrency, [.. sorted.Select(row => row.Layer)], speeds, holds);
    }
}
