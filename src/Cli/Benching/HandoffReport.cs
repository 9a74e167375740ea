using System.Globalization;
using System.Text.Json.Serialization;
using Krewe.Workers;
using Spectre.Console;

namespace Krewe.Cli;

/// <summary>What <c>krewe bench handoff</c> prints with --json.</summary>
internal sealed record HandoffReport
{
    public required IReadOnlyList<TransportFigures> Transports { get; init; }

    /// <summary>Empty without a model.</summary>
    public required IReadOnlyList<TtftFigures> TimeToFirstToken { get; init; }

    public void Print(Terminal terminal)
    {
        var ansi = terminal.Ansi();
        var table = new Table().AddColumns(
            "transport", "bytes", "GB/s", "limit", "limit GB/s", "of the limit", "median", "connections",
            "of as many sockets");
        foreach (var row in Transports)
        {
            table.AddRow(
                row.Transport, Number(row.Bytes, "N0"), Number(row.BytesPerSecond / 1e9, "0.00"), row.Limit,
                Number(row.LimitBytesPerSecond / 1e9, "0.00"), $"{Number(100 * row.Ratio, "0")} %",
                $"{Number(100 * row.MedianRatio, "0")} %", Number(row.Connections, "0"),
                row.LanesMedianRatio is { } lanes ? $"{Number(100 * lanes, "0")} %" : "");
        }

        ansi.Write(table);
        if (TimeToFirstToken.Count == 0) return;
        var times = new Table().AddColumns("transport", "prompt tokens", "whole ms", "handed off ms", "added");
        foreach (var row in TimeToFirstToken)
        {
            times.AddRow(
                row.Transport, Number(row.PromptTokens, "0"), Number(row.WholeMs, "0.0"),
                Number(row.HandedOffMs, "0.0"), $"{Number(100 * row.Added, "0.0")} %");
        }

        ansi.Write(times);
    }

    private static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}

[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(HandoffReport))]
internal sealed partial class HandoffJson : JsonSerializerContext;
