using System.Runtime.InteropServices;
using Krewe.Abstractions;
using Krewe.Kernels;
using Krewe.Kernels.Cuda;
using Krewe.Workers;
using Krewe.Workers.Tests.Runner;
using static Krewe.Cuda.Tests.Runner.EmulatedRunner;
using Sequence = Krewe.Workers.Tests.Runner.Sequence;

namespace Krewe.Cuda.Tests.Runner;

/// <summary>The whole runner, from the driver's calls to the tokens, on the emulated GPU.</summary>
[Collection(EmulatedGpuDefinition.Name)]
public sealed class CudaRunnerTests : IDisposable
{
    // A few blocks; longer contexts are the kernels' tests'.
    private const string Question = "The code of amber is 4821. What is it?";

    private readonly EmulatedRunner _it = new();
    private readonly int[] _prompt;

    public CudaRunnerTests() => _prompt = _it.Prompt(Question);

    public void Dispose() => _it.Dispose();

    [EmulatedFact]
    public void Kernels_that_begin_early_are_launched_so_where_the_GPU_can_and_give_the_same_bits()
    {
        var early = _it.Create(EmulatedRunner.Options with { Overlap = true });
        Assert.True(early.Overlaps);
        var prompt = _it.Prompt("What is 7 plus 5?");
        var found = new Sequence(early, prompt, Blocks(early, 1)).Decode(4);
        var plain = _it.Create();
        Assert.Equal(new Sequence(plain, prompt, Blocks(plain, 1)).Decode(4), found);

        _it.Emulator.Set(architecture: 80);
        Assert.False(_it.Create(EmulatedRunner.Options with { Overlap = true }).Overlaps);
    }

    [EmulatedFact]
    public void Greedy_answers_are_the_CPUs_token_by_token()
    {
        var (gpu, cpu) = (_it.Create(), _it.CreateCpu());
        int[] stop = [.. _it.Model.StopTokenIds];
        foreach (var sample in TinyModel.Samples().Take(2))
        {
            var prompt = _it.Prompt(sample.Question);
            var expected = new Sequence(cpu, prompt, Blocks(cpu, 1)).Decode(16, stop);

            Assert.Equal(expected, new Sequence(gpu, prompt, Blocks(gpu, 2)).Decode(16, stop));
        }

        Assert.True(gpu.GraphCount > 0);
        Assert.Equal($"cuda/sm_90/k{CudaKernels.Version}/wBF16/kvBF16", gpu.Numerics.ToString());
    }

    [EmulatedTheory]
    [InlineData(ServedWeights.Stored, CudaProducts.Exact)]
    [InlineData(ServedWeights.Int8, CudaProducts.Exact)]
    [InlineData(ServedWeights.Stored, CudaProducts.CublasLt)]
    public void Logits_are_near_the_CPUs(ServedWeights weights, CudaProducts products)
    {
        var gpu = _it.Create(Options with { Products = products }, weights);
        var cpu = _it.CreateCpu(weights);

        var expected = new Sequence(cpu, _prompt, Blocks(cpu, 1)).Prefill();
        var actual = new Sequence(gpu, _prompt, Blocks(gpu, 2)).Prefill();

        // Activations are rounded to BF16 (2^-9 each) before every product, four layers deep; logits go up to about 20.
        for (var i = 0; i < expected.Length; i++) Assert.InRange(actual[i] - expected[i], -0.35, 0.35);
        Assert.Equal(Array.IndexOf(expected, expected.Max()), Array.IndexOf(actual, actual.Max()));
    }

    [EmulatedFact]
    public void Chunks_neighbours_blocks_graphs_and_the_order_of_threads_change_no_bit()
    {
        var runner = _it.Create();
        var alone = new Sequence(runner, _prompt, Blocks(runner, 1));
        var expected = Bits(alone.Prefill());

        Assert.Equal(expected, Bits(new Sequence(runner, _prompt, Blocks(runner, 2)).Prefill(7)));
        Assert.Equal(expected, Bits(Recomputed(runner)));
        // Enough neighbours for the tiled product, which takes over behind 64 rows.
        Assert.Equal(expected, Bits(AmongNeighbours(runner, 3)));
        Assert.Equal(expected, Bits(AmongNeighbours(runner, 40)));
        var launchesEach = _it.Create(Options with { Graphs = false });
        Assert.Equal(expected, Bits(Recomputed(launchesEach)));
        Assert.Equal(0, launchesEach.GraphCount);
        _it.Emulator.Set(order: 5, eager: true);
        Assert.Equal(expected, Bits(Recomputed(runner)));
    }

    [EmulatedFact]
    public void A_context_of_several_partitions_has_the_bits_of_its_prefill_in_decode()
    {
        var runner = _it.Create();
        int[] prompt = [.. Enumerable.Range(0, 520).Select(i => 10 + (i * 7 % 900))];
        var (blocks, random, partition) = (Blocks(runner, 1), new Random(3), CudaKernels.PartitionTokens);
        foreach (var block in blocks[..(partition / 16)])
        {
            // Any KV does for the first partition; computing it would take the emulator many seconds.
            var elements = Elements.ToBits(
                Elements.Random(random, runner.Kv.Geometry.BlockBytes / 2, KvFormat.BF16), KvFormat.BF16);
            runner.Kv.CopyIn(new BlockId(block), MemoryMarshal.AsBytes(elements.AsSpan()));
        }

        var sequence = new Sequence(runner, prompt, blocks);
        sequence.Skip(partition);
        var expected = Bits(sequence.Prefill());
        sequence.Rewind(1);

        Assert.Equal(expected, Bits(sequence.Prefill()));
    }

    [EmulatedFact]
    public void A_block_that_travelled_to_another_GPU_goes_on_with_the_same_bits()
    {
        var (source, target) = (_it.Create(), _it.Create());
        var sequence = new Sequence(source, _prompt, Blocks(source, 1));
        var expected = Bits(sequence.Prefill());
        var moved = new Sequence(target, _prompt, Blocks(target, 2));
        moved.TakeKvFrom(sequence);

        Assert.Equal(expected, Bits(moved.Prefill()));
    }

    [EmulatedFact]
    public void Tokens_drawn_on_the_device_are_those_of_its_logits()
    {
        var runner = _it.Create();
        using var sampler = new Sampler(runner.VocabularySize);
        var settings = new SamplerSettings { Temperature = 1.2f, TopP = 0.9f, Seed = 77 };
        var sequence = new Sequence(runner, _prompt, Blocks(runner, 1));
        var logits = sequence.Prefill();
        for (var position = 0; position < 3; position++)
        {
            // The last token once more: its logits are the same bits.
            sequence.Rewind(1);
            var batch = new StepBatch();
            var row = sequence.AddTo(batch)!.Value;
            batch.SetDraw(row, SampleDraw.Of(settings, position)!.Value);

            runner.Run(batch);

            Assert.Equal(sampler.Sample(logits, settings, position, [], [], []), batch.SampledOf(row));
        }
    }

    /// <summary>The last prompt token once more, as a decode.</summary>
    private float[] Recomputed(CudaModelRunner runner)
    {
        var sequence = new Sequence(runner, _prompt, Blocks(runner, 3));
        sequence.Prefill();
        sequence.Rewind(1);
        return sequence.Prefill();
    }

    private float[] AmongNeighbours(CudaModelRunner runner, int neighbours)
    {
        var blocks = Blocks(runner, 4);
        var own = _prompt.Length / 16 + 1;
        var sequence = new Sequence(runner, _prompt, blocks[..own]);
        var batch = new StepBatch();
        for (var i = 0; i < neighbours / 2; i++) Other(i).AddTo(batch);
        var row = sequence.AddTo(batch)!.Value;
        for (var i = neighbours / 2; i < neighbours; i++) Other(i).AddTo(batch);
        runner.Run(batch);
        return sequence.LogitsOf(batch, row);

        Sequence Other(int i) => new(
            runner, new[] { 50 + i, 60, 70 }.Take(1 + (i % 3)), blocks[(own + i)..(own + i + 1)]);
    }
}
