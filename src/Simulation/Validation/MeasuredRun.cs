using System.Globalization;
using System.IO.Compression;

namespace Krewe.Simulation;

/// <summary>One published measurement: clients that send equal requests one after the other to one worker.</summary>
public sealed record MeasuredRun(
    string Gpu, string Engine, string Model, string Weights, int TensorParallel, int InputTokens, int OutputTokens,
    int Clients, double TtftMs, double TpotMs)
{
    /// <summary>What is compared together.</summary>
    public string Configuration => $"{Gpu} {Engine} {Model} {Weights}";

    /// <summary>aiconfigurator's published runs of dense models on H100 and H200 (Data/README.md).</summary>
    public static IReadOnlyList<MeasuredRun> LoadServed() => [.. Rows("validation_served").Select(r => new MeasuredRun(
        r[0], r[1], r[2], r[3], Int(r[4]), Int(r[5]), Int(r[6]), Int(r[7]), Number(r[8]), Number(r[9])))];

    /// <summary>Rows of an embedded CSV without its header.</summary>
    internal static IEnumerable<string[]> Rows(string name)
    {
        using var stream = typeof(MeasuredRun).Assembly
            .GetManifestResourceStream($"Krewe.Simulation.Data.{name}.csv.gz")
            ?? throw new InvalidOperationException($"{name} is not embedded in the assembly.");
        using var reader = new StreamReader(new GZipStream(stream, CompressionMode.Decompress));
        reader.ReadLine();
        while (reader.ReadLine() is { } line) yield return line.Split(',');
    }

    internal static int Int(string text) => int.Parse(text, CultureInfo.InvariantCulture);

    internal static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);
}
