using Krewe.Abstractions;
using Krewe.Kernels.Cuda;
using Krewe.Workers;
using static Krewe.Cuda.Tests.Runner.EmulatedRunner;
using Sequence = Krewe.Workers.Tests.Runner.Sequence;

namespace Krewe.Cuda.Tests.Runner;

/// <summary>A model on two GPUs, each with half of the heads.</summary>
[Collection(EmulatedGpuDefinition.Name)]
public sealed class SeveralGpuTests : IDisposable
{
    private readonly EmulatedRunner _it = new();
    private readonly int[] _prompt;

    public SeveralGpuTests()
    {
        _it.Emulator.Set(devices: 2);
        _prompt = _it.Prompt("What is 7 plus 5?");
    }

    public void Dispose() => _it.Dispose();

    [EmulatedFact]
    public void Two_GPUs_give_the_tokens_of_the_CPU_and_the_same_bits_in_any_batch()
    {
        var (gpu, cpu) = (_it.Create(Options with { Devices = [0, 1] }), _it.CreateCpu());
        int[] stop = [.. _it.Model.StopTokenIds];

        Assert.Equal(
            new Sequence(cpu, _prompt, Blocks(cpu, 1)).Decode(8, stop),
            new Sequence(gpu, _prompt, Blocks(gpu, 2)).Decode(8, stop));
        Assert.Equal($"cuda/sm_90/tp2/k{CudaKernels.Version}/wBF16/kvBF16", gpu.Numerics.ToString());
        Assert.Equal(cpu.Kv.Geometry, gpu.Kv.Geometry);
        var whole = Bits(new Sequence(gpu, _prompt, Blocks(gpu, 3)).Prefill());
        Assert.Equal(whole, Bits(new Sequence(gpu, _prompt, Blocks(gpu, 4)).Prefill(5)));
        // A step of more than 64 rows takes the other schedule of products.
        var batch = new StepBatch();
        var blocks = Blocks(gpu, 5);
        new Sequence(gpu, Enumerable.Range(0, 70).Select(i => i + 20), blocks[..5]).AddTo(batch);
        var last = new Sequence(gpu, _prompt, blocks[5..]);
        var row = last.AddTo(batch)!.Value;
        gpu.Run(batch);
        Assert.Equal(whole, Bits(last.LogitsOf(batch, row)));
    }

    [EmulatedFact]
    public void A_block_goes_from_two_GPUs_to_one_whole()
    {
        var (two, one) = (_it.Create(Options with { Devices = [0, 1] }), _it.Create());
        var source = new Sequence(two, _prompt, Blocks(two, 1));
        var expected = source.Prefill();
        var moved = new Sequence(one, _prompt, Blocks(one, 2));
        moved.TakeKvFrom(source);

        // Sums of two ranks are rounded otherwise than those of one: near, not the same bits.
        var actual = moved.Prefill();
        for (var i = 0; i < expected.Length; i++) Assert.InRange(actual[i] - expected[i], -0.2, 0.2);
    }

    [EmulatedFact]
    public void A_model_that_cannot_be_divided_is_refused()
    {
        _it.Emulator.Set(devices: 4);
        var refused = Assert.Throws<KreweException>(() => _it.Create(Options with { Devices = [0, 1, 2, 3] }));

        Assert.Equal(ErrorCode.InvalidOptions, refused.Code);
        Assert.Contains("2 KV heads", refused.Message);
    }
}
