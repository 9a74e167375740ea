using System.Globalization;
using System.Text.Json.Serialization;

namespace Krewe.Cli;

/// <summary>What <c>krewe bench migrate</c> prints with --json.</summary>
internal sealed record MigrateReport
{
    public required string Model { get; init; }

    public required IReadOnlyList<MigrateFigures> Results { get; init; }

    /// <summary>Of the live copy at the longest context, the source decoding on meanwhile.</summary>
    public required double BytesPerSecond { get; init; }

    /// <summary>A raw copy over a loopback socket in the same run, or the link that was asked for.</summary>
    public required double LimitBytesPerSecond { get; init; }

    public required double Ratio { get; init; }

    /// <summary>Milliseconds a thousand tokens of context add to the pause, by least squares, for each kind.</summary>
    public required IReadOnlyDictionary<string, double> SlopeMsPerThousandTokens { get; init; }

    public static MigrateReport From(string model, IReadOnlyList<MigrateFigures> results, double limit)
    {
        var live = results.Where(round => round.Kind == "live").MaxBy(round => round.ContextTokens)!;
        var rate = live.CopyMs > 0 ? live.BytesMoved / live.CopyMs * 1000 : 0;
        return new MigrateReport
        {
            Model = model,
            Results = results,
            BytesPerSecond = rate,
            LimitBytesPerSecond = limit,
            Ratio = rate / limit,
            SlopeMsPerThousandTokens = results.GroupBy(round => round.Kind).ToDictionary(
                kind => kind.Key, kind => 1000 * Slope([.. kind])),
        };
    }

    public void Print(Terminal terminal)
    {
        terminal.Out.WriteLine($"{"kind",-10} {"context",8} {"pause ms",9} {"step ms",8} {"moved MB",9} {"copy ms",8}");
        foreach (var round in Results)
        {
            terminal.Out.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{round.Kind,-10} {round.ContextTokens,8} {round.PauseMs,9:F2} {round.StepMs,8:F2} "
                + $"{round.BytesMoved / 1e6,9:F2} {round.CopyMs,8:F1}"));
        }

        foreach (var (kind, slope) in SlopeMsPerThousandTokens)
        {
            terminal.Out.WriteLine(string.Create(
                CultureInfo.InvariantCulture, $"{kind}: {slope:F2} ms of pause more for each 1,000 tokens"));
        }

        terminal.Out.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"live copy {BytesPerSecond / 1e6:F0} MB/s, limit {LimitBytesPerSecond / 1e6:F0} MB/s, "
            + $"ratio {Ratio:F2}"));
    }

    private static double Slope(MigrateFigures[] rounds)
    {
        var (x, y) = (rounds.Average(round => round.ContextTokens), rounds.Average(round => round.PauseMs));
        var spread = rounds.Sum(round => Math.Pow(round.ContextTokens - x, 2));
        return spread == 0 ? 0 : rounds.Sum(round => (round.ContextTokens - x) * (round.PauseMs - y)) / spread;
    }
}

[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(MigrateReport))]
internal sealed partial class MigrateJson : JsonSerializerContext;
