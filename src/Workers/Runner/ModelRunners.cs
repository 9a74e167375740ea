using Krewe.Abstractions;
using Krewe.Kernels;
using Krewe.Kernels.Cuda;
using Krewe.Models;

namespace Krewe.Workers;

/// <summary>Builds the <see cref="IModelRunner"/> that a worker's options ask for.</summary>
public static partial class ModelRunners
{
    /// <summary>
    /// Packs the model's weights and takes the KV memory. The folder must stay open as long as the runner lives; the
    /// caller disposes both.
    /// </summary>
    /// <param name="kvFormat">Null takes the format that the configuration states for the weights.</param>
    /// <param name="blockTokens">Token slots of a KV block, a multiple of 16.</param>
    /// <param name="kvMemoryBytes">Divided by a block's bytes it gives the arena's blocks.</param>
    /// <param name="threads">Compute threads, the caller of Run included. The Reference device uses one.</param>
    /// <param name="weights">As the checkpoint has them, or rounded to INT8 at load.</param>
    /// <param name="cores">A core for each thread to be bound to; empty or null = none.</param>
    /// <param name="shareKv">KV memory that other workers of the host can map.</param>
    /// <param name="cuda">How GPUs are found and used; null: as usual.</param>
    /// <exception cref="ModelException">The weights do not fit the configuration.</exception>
    /// <exception cref="KreweException">An option does not fit the model.</exception>
    public static IModelRunner Create(
        ModelFolder model, WorkerDevice device, KvFormat? kvFormat, int blockTokens, long kvMemoryBytes, int threads,
        ServedWeights weights = ServedWeights.Stored, IReadOnlyList<int>? cores = null,
        bool shareKv = false, CudaOptions? cuda = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        if (blockTokens < 16 || blockTokens % 16 != 0)
            throw new KreweException(
                ErrorCode.InvalidOptions, $"BlockTokens is {blockTokens}; it must be a positive multiple of 16.");
        if (kvFormat == KvFormat.Int8 && device is not (WorkerDevice.Cuda or WorkerDevice.Reference))
        {
            throw new KreweException(
                ErrorCode.InvalidOptions, "--kv-format int8 is for NVIDIA GPUs (--device cuda); the CPU's kernels have "
                    + "F32, F16 and BF16. Choose one of these, or leave --kv-format out.");
        }

        var config = model.Config;
        var format = device == WorkerDevice.Cuda
            ? CudaKernelsFor(config, kvFormat).KvFormat
            : kvFormat ?? KvFormatOf(config.WeightType);
        var geometry = new KvGeometry(config.Layers, config.KvHeads, config.HeadDim, blockTokens, format);
        return device switch
        {
            WorkerDevice.Cpu => CpuModelRunner.Create(
                model, geometry, kvMemoryBytes, threads, CpuKernels.Best, weights, cores, shareKv),
            WorkerDevice.Reference => ReferenceModelRunner.Create(model, geometry, kvMemoryBytes, weights),
            WorkerDevice.Cuda => CudaModelRunner.Create(
                model, geometry, kvMemoryBytes, weights, cuda ?? new CudaOptions(), shareKv),
            WorkerDevice.Torch => CreateTorch(model, geometry, kvMemoryBytes),
            _ => throw new KreweException(ErrorCode.InvalidOptions, $"Device {device} has no model runner."),
        };
    }

    /// <summary>Builds the runner that a worker's options ask for; says why where auto comes to the CPU.</summary>
    /// <param name="shareKv">See the other overload.</param>
    internal static IModelRunner Create(ModelFolder model, WorkerOptions options, ILogger logger, bool shareKv = false)
    {
        var choice = DeviceChoice.For(model.Config, options);
        if (choice.Reason is { } reason) LogFallback(logger, reason);
        if (options.TestRowTime is { } rowTime) return CreatePaced(model, options, rowTime, shareKv);
        var runner = Create(
            model, choice.Device, options.KvFormat, options.BlockTokens, options.KvMemoryBytes, options.Threads,
            options.Weights, options.PinnedCores, shareKv, options.Cuda);
        if (runner is not CudaModelRunner gpus) return runner;
        if (gpus.ShareRefusal is { } refusal) LogNotShared(logger, refusal);
        if (gpus.PlainMemoryReason is { } plain) LogPlain(logger, plain);
        foreach (var each in gpus.AttentionReasons) LogAttention(logger, each);
        return runner;
    }

    private static PacedRunner CreatePaced(ModelFolder model, WorkerOptions options, TimeSpan rowTime, bool shareKv)
    {
        var config = model.Config;
        var geometry = new KvGeometry(
            config.Layers, config.KvHeads, config.HeadDim, options.BlockTokens,
            options.KvFormat ?? KvFormatOf(config.WeightType));
        return new PacedRunner(
            model, new CpuKvArena(geometry, options.KvMemoryBytes, shareKv), rowTime, TimeProvider.System);
    }

    /// <summary>The runner of an assembly that only builds with -p:WithTorchSharp=true have beside them.</summary>
    private static IModelRunner CreateTorch(ModelFolder model, KvGeometry geometry, long kvMemoryBytes)
    {
        var type = Type.GetType("Krewe.Workers.Torch.TorchModelRunner, Krewe.Workers.TorchSharp");
        var create = type?.GetMethod("Create")?.CreateDelegate<Func<ModelFolder, KvGeometry, long, IModelRunner>>();
        return create is not null
            ? create(model, geometry, kvMemoryBytes)
            : throw new KreweException(
                ErrorCode.DeviceUnavailable, "--device torch: this build has no TorchSharp; build Krewe with "
                    + "-p:WithTorchSharp=true.");
    }

    /// <summary>What a GPU computes in: the KV format that is asked for, else the checkpoint's, and BF16 where that is
    /// F32. With KV in INT8 all the rest is as if nothing had been asked for.</summary>
    internal static KernelOptions CudaKernelsFor(ModelConfig config, KvFormat? kvFormat)
    {
        var usual = config.WeightType == DType.F32 ? KvFormat.BF16 : KvFormatOf(config.WeightType);
        return kvFormat == KvFormat.Int8
            ? new KernelOptions(config.HeadDim, usual, Int8Kv: true)
            : new KernelOptions(config.HeadDim, kvFormat ?? usual);
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

    [LoggerMessage(LogLevel.Warning, "--device auto: the CPU computes, because there is no GPU to use. {Reason}")]
    private static partial void LogFallback(ILogger logger, string reason);

    [LoggerMessage(LogLevel.Information, "Prefill attention on {Reason}")]
    private static partial void LogAttention(ILogger logger, string reason);

    [LoggerMessage(LogLevel.Information,
        "KV memory is plain, so other containers of this host cannot open it: {Reason}")]
    private static partial void LogPlain(ILogger logger, string reason);

    [LoggerMessage(LogLevel.Information,
        "Blocks go to other workers of this host through pinned memory and the data link, not from GPU to GPU: "
            + "{Reason}")]
    private static partial void LogNotShared(ILogger logger, string reason);
}
