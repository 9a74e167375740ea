using System.Text.Json.Serialization;
using Krewe.KvStore.Benching;

namespace Krewe.Cli;

/// <summary>What <c>krewe bench store --json</c> prints. The first three figures are those of whole reads.</summary>
internal sealed record StoreBenchReport
{
    public required double BytesPerSecond { get; init; }

    public required double LimitBytesPerSecond { get; init; }

    public required double Ratio { get; init; }

    public required string Store { get; init; }

    public required int Objects { get; init; }

    public required int ObjectBytes { get; init; }

    public required double RebuildSeconds { get; init; }

    public required IReadOnlyList<StoreFigures> Results { get; init; }

    public static StoreBenchReport From(StoreBenchResult result)
    {
        var read = result.Results.Single(figures => figures.Operation == "read");
        return new StoreBenchReport
        {
            BytesPerSecond = read.BytesPerSecond,
            LimitBytesPerSecond = read.LimitBytesPerSecond,
            Ratio = read.Ratio,
            Store = result.Store,
            Objects = result.Objects,
            ObjectBytes = result.ObjectBytes,
            RebuildSeconds = result.RebuildSeconds,
            Results = result.Results,
        };
    }
}

[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(StoreBenchReport))]
[JsonSerializable(typeof(TtftBenchReport))]
internal sealed partial class TierBenchJson : JsonSerializerContext;
