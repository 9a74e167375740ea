using System.Globalization;
using Spectre.Console;

namespace Krewe.Cli;

/// <summary>A <see cref="BenchReport"/> for people: the layers of one concurrency under each other.</summary>
internal static class BenchTable
{
    public static void Print(BenchReport report, Terminal terminal)
    {
        var ansi = terminal.Ansi();
        ansi.WriteLine(
            $"{report.Model}: {report.Numerics}, {report.Threads} threads, {report.PromptTokens} prompt tokens, "
            + $"{report.OutputTokens} output tokens, best of {report.Repeats}");
        ansi.Write(Layers(report));
        foreach (var chain in report.Order) ansi.WriteLine(Order(chain));
        if (report.Products is { } products) ansi.Write(Products(products, report));
    }

    private static Table Layers(BenchReport report)
    {
        var table = new Table().AddColumns(
            "sequences", "layer", "prefill tokens/s", "decode tokens/s", "step p50 ms", "prefill GFLOP/s",
            "decode GB/s", "allocated B/step");
        foreach (var row in report.Results.OrderBy(row => row.Concurrency))
        {
            table.AddRow(
                Number(row.Concurrency, "0"), row.Layer, Number(row.PrefillTokensPerSecond, "N0"),
                Number(row.DecodeTokensPerSecond, "N1"), Number(row.StepP50Ms, "0.00"),
                OfLimit(row.Gflops, report.Limits.Gflops),
                OfLimit(row.GigabytesPerSecond, report.Limits.GigabytesPerSecond),
                row.AllocatedBytesPerStep is { } bytes ? Number(bytes, "N0") : "");
        }

        return table;
    }

    private static Table Products(IReadOnlyList<ProductFigures> products, BenchReport report)
    {
        var table = new Table().AddColumns("matrices", "rows", "GFLOP/s", "GB/s");
        foreach (var row in products)
        {
            table.AddRow(
                row.Matrix, Number(row.Rows, "0"), OfLimit(row.Gflops, report.Limits.Gflops),
                OfLimit(row.GigabytesPerSecond, report.Limits.GigabytesPerSecond));
        }

        return table;
    }

    private static string Order(LayerChain chain)
    {
        var layers = chain.Layers.Zip(chain.TokensPerSecond, (layer, speed) => $"{layer} {Number(speed, "N0")}");
        return $"{chain.Phase}, {chain.Concurrency} sequences: {string.Join(" <= ", layers)}: "
            + (chain.Holds ? "holds" : "DOES NOT HOLD");
    }

    private static string OfLimit(double value, double limit) =>
        $"{Number(value, "0.0")} ({Number(100 * value / limit, "0")} %)";

    private static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}
