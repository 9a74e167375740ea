using System.Globalization;

namespace Krewe.Simulation;

/// <summary>A model on the GPUs of one worker.</summary>
public sealed record Deployment
{
    /// <summary>What the runtime, activations and communication buffers take of each GPU (vLLM's usual 0.9).</summary>
    private const double UsableMemory = 0.9;

    /// <summary>CUDA context, kernels, graphs and peak activations of one step, per GPU.</summary>
    private const long RuntimeBytesPerGpu = 2L << 30;

    public required ModelShape Model { get; init; }

    public required GpuShape Gpu { get; init; }

    public int TensorParallel { get; init; } = 1;

    public int PipelineParallel { get; init; } = 1;

    /// <summary>Bytes of one weight: 2 (bf16) or 1 (fp8).</summary>
    public int WeightBytes { get; init; } = 2;

    /// <summary>Bytes of one KV number: 2, or 1 (fp8).</summary>
    public int KvBytes { get; init; } = 2;

    public int Gpus => TensorParallel * PipelineParallel;

    public long KvBytesPerToken => Model.KvBytesPerToken * KvBytes / 2;

    /// <summary>Bytes of all weights.</summary>
    public long ModelBytes => Model.Parameters * WeightBytes;

    /// <summary>KV bytes that fit beside the weights on all GPUs of the worker; may be negative.</summary>
    public long KvCapacityBytes => (long)((UsableMemory * Gpu.MemoryBytes * Gpus) - ModelBytes)
        - (Gpus * RuntimeBytesPerGpu);

    /// <summary>KV tokens that fit; <see cref="SimulationException"/> with the arithmetic when none does.</summary>
    public int CapacityTokens()
    {
        Check();
        var tokens = KvCapacityBytes / KvBytesPerToken;
        if (tokens < 1024) throw new SimulationException(Arithmetic());
        return (int)Math.Min(tokens, int.MaxValue / 2);
    }

    /// <summary>Throws when the shape cannot be split that way.</summary>
    public void Check()
    {
        if (TensorParallel < 1 || Model.Heads % TensorParallel != 0)
        {
            throw new SimulationException(
                $"{Model.Name} has {Model.Heads} heads; they cannot be split over {TensorParallel} GPUs.");
        }

        if (PipelineParallel < 1 || Model.Layers % PipelineParallel != 0)
        {
            throw new SimulationException(
                $"{Model.Name} has {Model.Layers} layers; they cannot be split over {PipelineParallel} stages.");
        }
    }

    /// <summary>Why the model does not fit, number by number, and what would.</summary>
    private string Arithmetic() => string.Create(CultureInfo.InvariantCulture,
        $"{Model.Name} does not fit on {Gpus} x {Gpu.Name}: {Model.Parameters / 1e9:0.0} G parameters x {WeightBytes} "
        + $"B = {ModelBytes / 1e9:0.0} GB of weights; {Gpus} x {Gpu.MemoryBytes / 1e9:0.0} GB x {UsableMemory} - "
        + $"{Gpus} x {RuntimeBytesPerGpu / 1e9:0.0} GB runtime - weights leaves {KvCapacityBytes / 1e9:0.0} GB for KV "
        + $"at {KvBytesPerToken / 1024.0:0.#} KiB a token: under 1,024 tokens. Use more GPUs a worker (--tp), a GPU "
        + $"with more memory, or --weights fp8.");
}
