using Krewe.Abstractions;
using Krewe.Kernels.Cuda;
using Krewe.Workers;
using Krewe.Workers.Tests.Runner;
using Xunit.Abstractions;
using static Krewe.Cuda.Tests.Runner.EmulatedRunner;
using Sequence = Krewe.Workers.Tests.Runner.Sequence;

namespace Krewe.Cuda.Tests.Runner;

/// <summary>KV in INT8: lossy beside BF16, and as exact as ever against itself.</summary>
[Collection(EmulatedGpuDefinition.Name)]
public sealed class Int8KvTests(ITestOutputHelper output) : IDisposable
{
    private readonly EmulatedRunner _it = new();

    private int[] Prompt => _it.Prompt("The code of amber is 4821. What is it?");

    public void Dispose() => _it.Dispose();

    [EmulatedFact]
    public void Chunks_decodes_neighbours_and_a_move_to_another_worker_change_no_bit()
    {
        var (runner, other) = (_it.Create(kvFormat: KvFormat.Int8), _it.Create(kvFormat: KvFormat.Int8));
        Assert.Equal($"cuda/sm_90/k{CudaKernels.Version}/wBF16/kvInt8", runner.Numerics.ToString());
        // 4 layers of K and V, 2 heads, 16 slots, 64 codes and a scale.
        Assert.Equal(4 * 2 * 2 * 16 * (64 + 4), runner.Kv.Geometry.BlockBytes);
        var whole = new Sequence(runner, Prompt, Blocks(runner, 1));
        var expected = Bits(whole.Prefill());

        Assert.Equal(expected, Bits(new Sequence(runner, Prompt, Blocks(runner, 2)).Prefill(7)));
        var again = new Sequence(runner, Prompt, Blocks(runner, 3));
        again.Prefill();
        again.Rewind(1);
        Assert.Equal(expected, Bits(again.Prefill()));
        var (batch, blocks) = (new StepBatch(), Blocks(runner, 4));
        new Sequence(runner, Enumerable.Range(50, 70), blocks[..5]).AddTo(batch);
        var among = new Sequence(runner, Prompt, blocks[5..]);
        var row = among.AddTo(batch)!.Value;
        runner.Run(batch);
        Assert.Equal(expected, Bits(among.LogitsOf(batch, row)));
        var moved = new Sequence(other, Prompt, Blocks(other, 5));
        moved.TakeKvFrom(whole);
        Assert.Equal(expected, Bits(moved.Prefill()));
    }

    /// <summary>The reference keeps the same codes, so it is as near as without them; what they lose beside BF16 is
    /// seen, and small.</summary>
    [EmulatedFact]
    public void Logits_are_near_the_references_and_a_little_off_those_of_BF16()
    {
        var int8 = _it.Create(kvFormat: KvFormat.Int8);
        using var reference = ModelRunners.Create(
            _it.Model, WorkerDevice.Reference, KvFormat.Int8, 16, 1 << 20, threads: 1);
        var plain = _it.Create();

        var actual = new Sequence(int8, Prompt, Blocks(int8, 1)).Prefill();

        Assert.InRange(Farthest(actual, new Sequence(reference, Prompt, Blocks(reference, 2)).Prefill()), 0, 0.35);
        Assert.InRange(Farthest(actual, new Sequence(plain, Prompt, Blocks(plain, 3)).Prefill()), 1e-4, 0.5);
    }

    /// <summary>What INT8 loses beside BF16: the card's sample questions, answered token by token over BF16's answer.
    /// </summary>
    [LongEmulatedFact]
    public void Little_is_lost_over_the_models_sample_questions()
    {
        var (int8, plain) = (_it.Create(kvFormat: KvFormat.Int8), _it.Create());
        var (tokens, equal, farthest, sum) = (0, 0, 0.0, 0.0);
        foreach (var sample in TinyModel.Samples())
        {
            var prompt = _it.Prompt(sample.Question);
            var (left, right) = (
                new Sequence(plain, prompt, Blocks(plain, 1)), new Sequence(int8, prompt, Blocks(int8, 1)));
            for (var i = 0; i < 24; i++, tokens++)
            {
                var (expected, actual) = (left.Prefill(), right.Prefill());
                var token = Array.IndexOf(expected, expected.Max());
                if (_it.Model.StopTokenIds.Contains(token)) break;
                equal += token == Array.IndexOf(actual, actual.Max()) ? 1 : 0;
                farthest = Math.Max(farthest, Farthest(actual, expected));
                sum += actual.Zip(expected, (l, r) => (double)Math.Abs(l - r)).Average();
                left.Tokens.Add(token);
                right.Tokens.Add(token);
            }
        }

        output.WriteLine(
            $"{tokens} tokens: {equal} the same greedily; logits {sum / tokens:0.0000} off on average, "
                + $"{farthest:0.000} at most");
        Assert.True(equal >= 0.98 * tokens, $"{equal} of {tokens}");
        Assert.InRange(farthest, 0, 1.5);
    }

    [Theory]
    [InlineData(WorkerDevice.Cpu)]
    [InlineData(WorkerDevice.Torch)]
    public void Other_devices_refuse_it_by_name(WorkerDevice device)
    {
        using var model = TinyModel.Open();
        var refusal = Assert.Throws<KreweException>(
            () => ModelRunners.Create(model, device, KvFormat.Int8, 16, 1 << 20, threads: 1));

        Assert.Equal(ErrorCode.InvalidOptions, refusal.Code);
        Assert.Contains("--kv-format int8", refusal.Message);
    }

    private static double Farthest(float[] left, float[] right) => left.Zip(right, (l, r) => Math.Abs(l - r)).Max();
}
