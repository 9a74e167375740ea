using Krewe.Abstractions;
using Krewe.Models;
using Krewe.Workers.Tests.Runner;

namespace Krewe.Workers.Tests;

/// <summary>
/// The promise, through the whole engine: planner, prefix cache, preemption, runner and sampler. The same request gives
/// the same bits alone and in any crowd.
/// </summary>
public sealed class EngineExactnessTests : IDisposable
{
    private const int Whole = 4096;

    private readonly RandomCheckpoint _checkpoint = new("LlamaForCausalLM", "BF16");
    private readonly ModelFolder _model;

    public EngineExactnessTests() => _model = _checkpoint.Open();

    public void Dispose()
    {
        _model.Dispose();
        _checkpoint.Dispose();
    }

    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(2, 16, 2)]
    [InlineData(7, 100, 1)]
    [InlineData(7, 1, 2)]
    [InlineData(20, 512, 2)]
    [InlineData(64, Whole, 1)]
    public void In_a_crowd_a_request_gives_the_bits_that_it_gives_alone(int sequences, int chunk, int threads) =>
        Compare(sequences, chunk, threads);

    [LongFact("minutes")]
    public void In_every_crowd_chunk_and_thread_count()
    {
        for (var sequences = 2; sequences <= 64; sequences++)
        {
            foreach (var chunk in (int[])[1, 16, 100, 512, Whole])
            {
                foreach (var threads in (int[])[1, 2]) Compare(sequences, chunk, threads);
            }
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_runner_whose_bits_depend_on_the_batch_is_caught(bool sampled)
    {
        var alone = Run(1, Whole, 1, sampled);
        Assert.NotEqual(alone, CrowdedEngine.Run(_model, 7, 100, 1, sampled, inner => new BatchDependentRunner(inner)));
    }

    private void Compare(int sequences, int chunk, int threads)
    {
        foreach (var sampled in (bool[])[false, true])
        {
            var alone = Run(1, Whole, 1, sampled);
            Assert.Equal(24 * 6, alone.Count);
            var crowded = Run(sequences, chunk, threads, sampled);
            Assert.True(alone.SequenceEqual(crowded),
                $"{sequences} sequences, chunk {chunk}, {threads} threads, sampled {sampled}: other bits");
        }
    }

    private List<(uint Token, uint LogprobBits)> Run(int sequences, int chunk, int threads, bool sampled) =>
        CrowdedEngine.Run(_model, sequences, chunk, threads, sampled, runner => runner);

    /// <summary>Adds up in another order, so to say, when it is not alone: the last bit of a logit differs.</summary>
    private sealed class BatchDependentRunner(IModelRunner inner) : IModelRunner
    {
        public int VocabularySize => inner.VocabularySize;

        public int MaxContextTokens => inner.MaxContextTokens;

        public NumericsFingerprint Numerics => inner.Numerics;

        public IKvArena Kv => inner.Kv;

        public void Run(StepBatch batch)
        {
            inner.Run(batch);
            if (batch.SequenceCount < 2) return;
            var logits = batch.Logits.AsSpan(0, batch.LogitRowCount * VocabularySize);
            foreach (ref var logit in logits) logit = MathF.BitIncrement(logit);
        }

        public void Dispose() => inner.Dispose();
    }
}
