using System.Text.Json.Serialization;

namespace Krewe.Cli;

/// <summary>Decision times of one policy: look-up in the index, choice and accounting of one request.</summary>
internal sealed record DecisionFigures
{
    public required string Policy { get; init; }

    public required double P50Us { get; init; }

    public required double P99Us { get; init; }

    public required double MaxUs { get; init; }

    /// <summary>Managed bytes of one decision.</summary>
    public required double AllocatedBytes { get; init; }
}

/// <summary>What <c>krewe bench routing</c> prints with --json. One thread throughout.</summary>
internal sealed record RoutingReport
{
    public required int Workers { get; init; }

    /// <summary>Distinct blocks, and (worker, block) pairs.</summary>
    public required long Blocks { get; init; }

    public required long Residencies { get; init; }

    public required double BytesPerBlock { get; init; }

    /// <summary>Blocks added a second while the index fills.</summary>
    public required double FillPerSecond { get; init; }

    /// <summary>Blocks removed and added a second in the full index.</summary>
    public required double UpdatesPerSecond { get; init; }

    /// <summary>The same updates on a Dictionary from 128-bit hash to worker, which knows one holder a block.</summary>
    public required double DictionaryUpdatesPerSecond { get; init; }

    public required int Decisions { get; init; }

    /// <summary>Prompt blocks of a decision, mean.</summary>
    public required double PromptBlocks { get; init; }

    public required IReadOnlyList<DecisionFigures> Policies { get; init; }
}

[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(RoutingReport))]
internal sealed partial class RoutingJson : JsonSerializerContext;
