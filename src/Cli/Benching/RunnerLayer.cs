using Krewe.Abstractions;
using Krewe.Models;
using Krewe.Workers;

namespace Krewe.Cli;

/// <summary>A model runner's steps, without engine: no planning, no sampling, no streams.</summary>
internal sealed class RunnerLayer : IDisposable
{
    private const int BlockTokens = 16;

    private readonly BenchSizes _sizes;
    private readonly TimeProvider _time;
    private readonly IModelRunner _runner;
    private readonly StepBatch _batch = new();
    private readonly int[][] _tokens;
    private readonly int[][] _blocks;

    public RunnerLayer(ModelFolder model, BenchSizes sizes, TimeProvider time)
    {
        (_sizes, _time) = (sizes, time);
        _runner = ModelRunners.Create(
            model, WorkerDevice.Cpu, sizes.KvFormat, BlockTokens, sizes.KvBytes(model.Config, BlockTokens),
            sizes.Threads, sizes.Weights);
        var length = sizes.PromptTokens + sizes.DecodeSteps;
        var sequences = sizes.MaxConcurrency;
        _tokens = [.. Enumerable.Range(0, sequences)
            .Select(sequence => BenchPrompts.Of(sequence, length, model.Config.VocabularySize))];
        // Block b of all sequences, then block b + 1: no sequence's blocks are neighbours, as after hours of serving.
        _blocks = [.. Enumerable.Range(0, sequences).Select(sequence => Enumerable
            .Range(0, _runner.Kv.Geometry.BlocksFor(length))
            .Select(block => (block * sequences) + sequence)
            .ToArray())];
    }

    public NumericsFingerprint Numerics => _runner.Numerics;

    public BenchRound Measure(int concurrency)
    {
        var plan = new PrefillPlan(concurrency, _sizes.PromptTokens, _sizes.StepTokens);
        return new StepClock(_sizes.DecodeSteps, _time).Run(
            () =>
            {
                foreach (var chunks in plan.Steps) Prefill(plan, chunks);
            },
            step => Decode(concurrency, _sizes.PromptTokens + step));
    }

    public void Dispose() => _runner.Dispose();

    private void Prefill(PrefillPlan plan, PrefillChunk[] chunks)
    {
        _batch.Clear();
        foreach (var chunk in chunks)
            Add(chunk.Sequence, chunk.Start, chunk.Count, plan.IsLast(chunk));
        _runner.Run(_batch);
    }

    private void Decode(int concurrency, int position)
    {
        _batch.Clear();
        for (var sequence = 0; sequence < concurrency; sequence++)
            Add(sequence, position, 1, wantLogits: true);
        _runner.Run(_batch);
    }

    private void Add(int sequence, int start, int count, bool wantLogits) => _batch.Add(
        _tokens[sequence].AsSpan(start, count), start, _blocks[sequence], BlockTokens, wantLogits);
}
