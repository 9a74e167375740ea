using System.Text.Json.Serialization;

namespace Krewe.Cli;

/// <summary>What <c>krewe bench stall</c> prints with --json.</summary>
internal sealed record StallReport
{
    public required string Model { get; init; }

    public required int Threads { get; init; }

    public required int Streams { get; init; }

    public required int PromptTokens { get; init; }

    /// <summary>The inter-token SLO: a step's budget in time.</summary>
    public required double StepBudgetMs { get; init; }

    /// <summary>The stall-free P99 gap while the prompt is computed, by the budget.</summary>
    public required double P99ByBudget { get; init; }

    public required StallFigures StallFree { get; init; }

    public required StallFigures WholePrompt { get; init; }
}

/// <summary>What <c>krewe bench reuse</c> prints with --json.</summary>
internal sealed record ReuseReport
{
    public required string Model { get; init; }

    public required int Threads { get; init; }

    public required int FirstTurnTokens { get; init; }

    public required int SecondTurnTokens { get; init; }

    public required double FirstTtftMs { get; init; }

    public required double SecondTtftMs { get; init; }

    /// <summary>The second turn's by the first's.</summary>
    public required double Ratio { get; init; }

    /// <summary>The second turn's where nothing could be reused.</summary>
    public required double SecondTtftWithoutCacheMs { get; init; }

    /// <summary>The second turn's tokens with and without the cache.</summary>
    public required bool SameTokens { get; init; }
}

/// <summary>One row of <c>krewe bench prefix</c>.</summary>
internal sealed record PrefixFigures(int Blocks, string Eviction, double HitRate, double SavedShare);

[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(StallReport))]
[JsonSerializable(typeof(ReuseReport))]
[JsonSerializable(typeof(IReadOnlyList<PrefixFigures>))]
internal sealed partial class ScenarioJson : JsonSerializerContext;
