using System.Text.Json.Serialization;
using Krewe.Workers;

namespace Krewe.Cli;

/// <summary>One layer with one number of sequences. A layer can at most be as fast as the one below it.</summary>
internal sealed record LayerFigures
{
    /// <summary>"limit", "kernel", "runner", "engine" or "serving", from below.</summary>
    public required string Layer { get; init; }

    public required int Concurrency { get; init; }

    public required double PrefillTokensPerSecond { get; init; }

    public required double DecodeTokensPerSecond { get; init; }

    /// <summary>Median of the decode steps.</summary>
    public required double StepP50Ms { get; init; }

    /// <summary>Operations of the prompts' products by prefill time.</summary>
    public required double Gflops { get; init; }

    /// <summary>Bytes of all matrices by the mean time of a decode step.</summary>
    public required double GigabytesPerSecond { get; init; }

    /// <summary>Managed bytes of a decode step; null where it runs in another process.</summary>
    public required double? AllocatedBytesPerStep { get; init; }
}

/// <summary>The products of one kind of matrix, over all layers in turn.</summary>
internal sealed record ProductFigures
{
    public required string Matrix { get; init; }

    public required int Rows { get; init; }

    public required double Gflops { get; init; }

    public required double GigabytesPerSecond { get; init; }
}

/// <summary>What <c>krewe bench</c> prints with --json.</summary>
internal sealed record BenchReport
{
    public required string Model { get; init; }

    public required string Numerics { get; init; }

    public required int Threads { get; init; }

    public required int PromptTokens { get; init; }

    public required int OutputTokens { get; init; }

    public required int StepTokens { get; init; }

    public required int Repeats { get; init; }

    /// <summary>Bytes of all matrices that a decode step reads.</summary>
    public required long WeightBytesPerStep { get; init; }

    /// <summary>Measured before and after all else; the better of the two.</summary>
    public required MachineLimits Limits { get; init; }

    public required IReadOnlyList<LayerFigures> Results { get; init; }

    /// <summary>Which layer is faster than which; see <see cref="LayerOrder"/>.</summary>
    public IReadOnlyList<LayerChain> Order => LayerOrder.Of(Results);

    /// <summary>Null where products were not asked for one by one.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public required IReadOnlyList<ProductFigures>? Products { get; init; }
}

[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(BenchReport))]
[JsonSerializable(typeof(TokenizerReport))]
[JsonSerializable(typeof(ConstraintReport))]
internal sealed partial class BenchJson : JsonSerializerContext;
