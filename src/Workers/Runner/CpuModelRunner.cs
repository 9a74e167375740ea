using Krewe.Abstractions;
using Krewe.Kernels;
using Krewe.Models;

namespace Krewe.Workers;

/// <summary>Runs a Llama-like transformer on the CPU's SIMD kernels.</summary>
internal sealed class CpuModelRunner : IModelRunner
{
    private readonly ModelConfig _config;
    private readonly CpuWeights _weights;
    private readonly CpuKvArena _arena;
    private readonly ComputeThreads _threads;
    private readonly CpuStep _step;

    private CpuModelRunner(
        ModelConfig config, CpuKernels kernels, CpuWeights weights, CpuKvArena arena, ComputeThreads threads)
    {
        (_config, _weights, _arena, _threads) = (config, weights, arena, threads);
        _step = new CpuStep(config, kernels, weights, arena, threads.Count);
        Numerics = new NumericsFingerprint(
            "cpu", kernels.InstructionPath, CpuKernels.Version, weights.Formats, arena.Geometry.Format);
    }

    public int VocabularySize => _config.VocabularySize;

    public int MaxContextTokens => _config.MaxPositions;

    public NumericsFingerprint Numerics { get; }

    public IKvArena Kv => _arena;

    public static CpuModelRunner Create(
        ModelFolder model, KvGeometry geometry, long kvMemoryBytes, int threads, CpuKernels kernels,
        bool shareKv = false)
    {
        var arena = new CpuKvArena(geometry, kvMemoryBytes, shareKv);
        CpuWeights? weights = null;
        try
        {
            weights = CpuWeightLoader.Load(model, kernels);
            return new CpuModelRunner(model.Config, kernels, weights, arena, new ComputeThreads(threads));
        }
        catch
        {
            weights?.Dispose();
            arena.Dispose();
            throw;
        }
    }

    public void Run(StepBatch batch)
    {
        StepChecks.Demand(batch, VocabularySize, MaxContextTokens, _arena);
        batch.ReserveLogits(VocabularySize);
        _step.Prepare(batch);
        _threads.Run(_step);
    }

    public void Dispose()
    {
        _threads.Dispose();
        _step.Dispose();
        _weights.Dispose();
        _arena.Dispose();
    }
}
