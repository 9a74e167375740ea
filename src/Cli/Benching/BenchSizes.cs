using Krewe.Abstractions;
using Krewe.Models;

namespace Krewe.Cli;

/// <summary>What is measured, and how long: the same for every layer, so that layers can be compared.</summary>
internal sealed record BenchSizes
{
    public const long MinReadBytes = 1L << 20;

    public required int Threads { get; init; }

    /// <summary>Tokens of each sequence's prompt.</summary>
    public required int PromptTokens { get; init; }

    /// <summary>Tokens of each sequence's answer; the first comes with the prefill, each other one is a step.</summary>
    public required int OutputTokens { get; init; }

    /// <summary>Sequences at once, one measurement each.</summary>
    public required IReadOnlyList<int> Concurrency { get; init; }

    /// <summary>Most tokens of a step.</summary>
    public required int StepTokens { get; init; }

    /// <summary>Null takes the checkpoint's.</summary>
    public required KvFormat? KvFormat { get; init; }

    public required ServedWeights Weights { get; init; }

    /// <summary>Rounds of each measurement; the best counts, for prefill and decode apart.</summary>
    public required int Repeats { get; init; }

    /// <summary>Times that all layers are gone through, from the limits up. On a machine whose speed drifts each layer
    /// then had its good minutes.</summary>
    public required int Sweeps { get; init; }

    /// <summary>Buffer of the read-bandwidth loop; null takes the bytes of the model's matrices.</summary>
    public required long? ReadBytes { get; init; }

    public int DecodeSteps => OutputTokens - 1;

    public int MaxConcurrency => Concurrency.Max();

    /// <summary>Longest answer of a stream that starts to decode while the others are still in prefill.</summary>
    public int StreamTokens(int concurrency)
    {
        var perStep = StepTokens - concurrency;
        return OutputTokens + 2 + (((concurrency * PromptTokens) + perStep - 1) / perStep);
    }

    /// <summary>Bytes that all sequences' KV blocks take at most.</summary>
    public long KvBytes(ModelConfig config, int blockTokens)
    {
        var format = KvFormat ??
            (config.WeightType == DType.F32 ? Abstractions.KvFormat.F32 : Abstractions.KvFormat.F16);
        var geometry = new KvGeometry(config.Layers, config.KvHeads, config.HeadDim, blockTokens, format);
        var tokens = PromptTokens + StreamTokens(MaxConcurrency);
        return (long)MaxConcurrency * (geometry.BlocksFor(tokens) + 1) * geometry.BlockBytes;
    }

    /// <exception cref="KreweException">The sizes contradict each other or the model.</exception>
    public void Demand(ModelConfig config)
    {
        if (ReadBytes is { } bytes && bytes < MinReadBytes)
            throw Invalid($"--read-memory is {bytes} bytes; it must be at least {ByteSize.Format(MinReadBytes)}.");
        if (StepTokens <= MaxConcurrency)
        {
            throw Invalid(
                $"--step-tokens is {StepTokens}; it must be more than the largest --concurrency, {MaxConcurrency}.");
        }

        var longest = PromptTokens + StreamTokens(MaxConcurrency);
        if (longest > config.MaxPositions)
        {
            throw Invalid(
                $"Sequences of up to {longest} tokens do not fit into the {config.MaxPositions} of the model's "
                + "context; lower --prompt-tokens, --output-tokens or --concurrency, or raise --step-tokens.");
        }
    }

    private static KreweException Invalid(string message) => new(ErrorCode.InvalidOptions, message);
}
