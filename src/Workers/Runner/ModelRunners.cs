using Krewe.Abstractions;
using Krewe.Kernels;
using Krewe.Models;

namespace Krewe.Workers;

/// <summary>Builds the <see cref="IModelRunner"/> that a worker's options ask for.</summary>
public static class ModelRunners
{
    /// <summary>
    /// Packs the model's weights and takes the KV memory. The folder must stay open as long as the runner lives; the
    /// caller disposes both.
    /// </summary>
    /// <param name="kvFormat">Null takes the format that the configuration states for the weights.</param>
    /// <param name="blockTokens">Token slots of a KV block, a multiple of 16.</param>
    /// <param name="kvMemoryBytes">Divided by a block's bytes it gives the arena's blocks.</param>
    /// <param name="threads">Compute threads, the caller of Run included. The Reference device uses one.</param>
    /// <param name="shareKv">KV memory that other workers of the host can map; the Reference device has none.</param>
    /// <exception cref="ModelException">The weights do not fit the configuration.</exception>
    /// <exception cref="KreweException">An option does not fit the model.</exception>
    public static IModelRunner Create(
        ModelFolder model, WorkerDevice device, KvFormat? kvFormat, int blockTokens, long kvMemoryBytes, int threads,
        bool shareKv = false)
    {
        ArgumentNullException.ThrowIfNull(model);
        if (blockTokens < 16 || blockTokens % 16 != 0)
            throw new KreweException(
                ErrorCode.InvalidOptions, $"BlockTokens is {blockTokens}; it must be a positive multiple of 16.");
        var config = model.Config;
        var geometry = new KvGeometry(
            config.Layers, config.KvHeads, config.HeadDim, blockTokens, kvFormat ?? KvFormatOf(config.WeightType));
        return device switch
        {
            WorkerDevice.Cpu => CpuModelRunner.Create(
                model, geometry, kvMemoryBytes, threads, CpuKernels.Best, shareKv),
            WorkerDevice.Reference => ReferenceModelRunner.Create(model, geometry, kvMemoryBytes),
            _ => throw new KreweException(ErrorCode.InvalidOptions, $"Device {device} has no model runner."),
        };
    }

    internal static RotaryFrequencies Rotary(ModelConfig config)
    {
        var (dims, rope) = (config.HeadDim, config.Rope);
        return rope.Kind switch
        {
            RopeKind.Plain => RotaryFrequencies.Plain(dims, rope.Theta),
            RopeKind.Linear => RotaryFrequencies.Linear(dims, rope.Theta, rope.Factor),
            RopeKind.Llama3 => RotaryFrequencies.Llama3(
                dims, rope.Theta, rope.Factor, rope.LowFrequencyFactor, rope.HighFrequencyFactor,
                rope.OriginalMaxPositions),
            RopeKind.Yarn => RotaryFrequencies.Yarn(
                dims, rope.Theta, rope.Factor, rope.BetaFast, rope.BetaSlow, rope.OriginalMaxPositions,
                rope.AttentionFactor),
            _ => throw new ModelException($"Rotary positions of the kind {rope.Kind} have no kernel."),
        };
    }

    private static KvFormat KvFormatOf(DType type) => type switch
    {
        DType.F32 => KvFormat.F32,
        DType.F16 => KvFormat.F16,
        DType.BF16 => KvFormat.BF16,
        _ => throw new ModelException($"Weights of type {type} have no KV format."),
    };
}
