using System.Runtime.Intrinsics;
using System.Text.Json.Nodes;
using Krewe.Abstractions;
using Krewe.Kernels;
using Krewe.Models;

namespace Krewe.Workers.Tests.Runner;

/// <summary>The promise of DESIGN section 6: the bits of a row depend on the model and its tokens alone.</summary>
public sealed class BitEqualityTests : IDisposable
{
    private const int PromptTokens = 530;

    private readonly RandomCheckpoint _checkpoint = new(
        "MistralForCausalLM", "BF16", new JsonObject { ["sliding_window"] = 300 });

    private readonly ModelFolder _model;
    private readonly int[] _prompt;
    private readonly Random _random = new(23);

    public BitEqualityTests()
    {
        _model = _checkpoint.Open();
        _prompt = [.. Enumerable.Range(0, PromptTokens).Select(_ => _random.Next(_model.Config.VocabularySize))];
    }

    public void Dispose()
    {
        _model.Dispose();
        _checkpoint.Dispose();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(16)]
    [InlineData(100)]
    [InlineData(512)]
    public void Any_chunking_gives_the_bits_of_the_whole_prefill(int chunkTokens)
    {
        using var runner = Create();
        var whole = Bits(new Sequence(runner, _prompt, RandomBlocks(runner, 0)).Prefill());
        var chunked = new Sequence(runner, _prompt, RandomBlocks(runner, 1)).Prefill(chunkTokens);
        Assert.Equal(whole, Bits(chunked));
    }

    /// <summary>Each width that this machine has, and INT8 weights, with one thread and two, whole and in chunks.
    /// </summary>
    [Theory]
    [InlineData(128, ServedWeights.Stored)]
    [InlineData(256, ServedWeights.Stored)]
    [InlineData(512, ServedWeights.Stored)]
    [InlineData(128, ServedWeights.Int8)]
    [InlineData(256, ServedWeights.Int8)]
    [InlineData(512, ServedWeights.Int8)]
    public void Every_width_gives_the_same_bits_with_any_threads_and_chunks(int bits, ServedWeights weights)
    {
        // On a machine without it the width is emulated: minutes instead of seconds.
        if (bits == 512 && !Vector512.IsHardwareAccelerated) bits = 256;
        var kernels = bits switch { 128 => CpuKernels.V128, 256 => CpuKernels.V256, _ => CpuKernels.V512 };
        using var best = Create(weights: weights);
        var expected = Bits(new Sequence(best, _prompt, RandomBlocks(best, 0)).Prefill());
        foreach (var threads in new[] { 1, 2 })
        {
            using var runner = Create(threads, kernels, weights);
            foreach (var chunk in new[] { 100, 512, int.MaxValue })
            {
                var sequence = new Sequence(runner, _prompt, RandomBlocks(runner, chunk));
                Assert.Equal(expected, Bits(sequence.Prefill(chunk)));
            }
        }
    }

    [Fact]
    public void A_sequence_of_int8_weights_among_neighbours_gives_the_bits_it_gives_alone()
    {
        using var runner = Create(weights: ServedWeights.Int8);
        var expected = DecodeAlone(runner, steps: 4);
        using var stored = Create();
        Assert.NotEqual(expected, DecodeAlone(stored, steps: 4));
        foreach (var neighbours in new[] { 1, 3, 7, 63 })
            Assert.Equal(expected, DecodeAmong(runner, neighbours, steps: 4));
    }

    [Fact]
    public void A_sequence_among_any_number_of_neighbours_gives_the_bits_it_gives_alone()
    {
        using var runner = Create();
        var expected = DecodeAlone(runner, steps: 6);
        foreach (var neighbours in new[] { 1, 2, 6, 7, 30, 63 })
            Assert.Equal(expected, DecodeAmong(runner, neighbours, steps: 6));
    }

    [Fact]
    public void Thread_counts_and_vector_widths_and_kv_left_behind_change_no_bit()
    {
        using var one = Create();
        var expected = DecodeAlone(one, steps: 4);
        using var two = Create(threads: 2);
        Assert.Equal(expected, DecodeAlone(two, steps: 4));
        using var three = Create(threads: 3);
        Assert.Equal(expected, DecodeAmong(three, neighbours: 5, steps: 4));
        using var narrow = Create(kernels: CpuKernels.V256);
        Assert.Equal(expected, DecodeAlone(narrow, steps: 4));
    }

    [Fact]
    public void A_block_that_travelled_to_another_arena_goes_on_with_the_same_bits()
    {
        using var source = Create();
        using var target = Create();
        var sequence = new Sequence(source, _prompt, RandomBlocks(source, 0));
        sequence.Prefill();
        var moved = new Sequence(target, _prompt, RandomBlocks(target, 1));
        moved.TakeKvFrom(sequence);
        Assert.Equal(DecodeAlone(source, steps: 5), Logits(moved, steps: 5));
    }

    [Fact]
    public void The_check_catches_a_neighbour_that_writes_into_a_foreign_block()
    {
        using var runner = Create();
        var expected = DecodeAlone(runner, steps: 3);
        var victim = new Sequence(runner, _prompt, RandomBlocks(runner, 0));
        victim.Prefill();
        new Sequence(runner, [5, 6, 7], RandomBlocks(runner, 0)[30..]).Prefill();
        Assert.NotEqual(expected, Logits(victim, steps: 3));
    }

    private CpuModelRunner Create(
        int threads = 1, CpuKernels? kernels = null, ServedWeights weights = ServedWeights.Stored)
    {
        var geometry = new KvGeometry(
            _model.Config.Layers, _model.Config.KvHeads, _model.Config.HeadDim, BlockTokens: 16, KvFormat.BF16);
        var runner = CpuModelRunner.Create(
            _model, geometry, 400L * geometry.BlockBytes, threads, kernels ?? CpuKernels.Best, weights);
        // All ones is NaN in every format: whoever reads a slot that was not written shows it.
        for (var block = 0; block < runner.Kv.BlockCount; block++)
        {
            runner.Kv.TryGetMemory(new BlockId(block), out var bytes);
            bytes.Span.Fill(0xff);
        }

        return runner;
    }

    private List<uint> DecodeAlone(CpuModelRunner runner, int steps) =>
        Logits(new Sequence(runner, _prompt, RandomBlocks(runner, 0)), steps);

    /// <summary>The sequence's logits of the prefill's end and of each decode, in steps that others share.</summary>
    private List<uint> DecodeAmong(CpuModelRunner runner, int neighbours, int steps)
    {
        var blocks = RandomBlocks(runner, neighbours);
        var sequence = new Sequence(runner, _prompt, blocks);
        sequence.Prefill(chunkTokens: 200);
        var others = Enumerable.Range(0, neighbours).Select(i => new Sequence(
            runner, Enumerable.Range(0, _random.Next(1, 40)).Select(_ => _random.Next(1000)),
            blocks[(60 + (5 * i))..(65 + (5 * i))])).ToList();
        // The last token again, now among others; then decodes.
        sequence.Rewind(1);
        var bits = new List<uint>();
        var batch = new StepBatch();
        for (var step = 0; step <= steps; step++)
        {
            batch.Clear();
            var front = others[..(neighbours / 2)];
            front.ForEach(other => other.AddTo(batch));
            var row = sequence.AddTo(batch)!.Value;
            others[(neighbours / 2)..].ForEach(other => other.AddTo(batch));
            runner.Run(batch);
            bits.AddRange(Bits(sequence.LogitsOf(batch, row)));
            sequence.Tokens.Add(NextToken(step));
            others.ForEach(other => other.Tokens.Add(_random.Next(1000)));
        }

        return bits;
    }

    private static List<uint> Logits(Sequence sequence, int steps)
    {
        var bits = new List<uint>();
        for (var step = 0; step <= steps; step++)
        {
            bits.AddRange(Bits(sequence.Prefill()));
            sequence.Tokens.Add(NextToken(step));
        }

        return bits;
    }

    private static int NextToken(int step) => 100 + (37 * step);

    private static int[] RandomBlocks(CpuModelRunner runner, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, runner.Kv.BlockCount).OrderBy(_ => random.Next())];
    }

    private static List<uint> Bits(float[] values) => [.. values.Select(BitConverter.SingleToUInt32Bits)];
}
