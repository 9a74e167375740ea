using Krewe.Abstractions;
using Krewe.Workers.Tests.Runner;
using Sequence = Krewe.Workers.Tests.Runner.Sequence;

namespace Krewe.Workers.TorchSharp.Tests;

/// <summary>The bundled model over TorchSharp beside the CPU's engine.</summary>
public sealed class TorchRunnerTests
{
    private const long KvMemoryBytes = 2 << 20;

    [TorchFact]
    public void Greedy_answers_are_the_CPUs_and_logits_are_near()
    {
        using var model = TinyModel.Open();
        using var torch = ModelRunners.Create(model, WorkerDevice.Torch, null, 16, KvMemoryBytes, 1);
        using var cpu = ModelRunners.Create(model, WorkerDevice.Cpu, null, 16, KvMemoryBytes, 1);
        int[] stop = [.. model.StopTokenIds];
        var blocks = Enumerable.Range(0, cpu.Kv.BlockCount).Reverse().ToArray();
        foreach (var sample in TinyModel.Samples().Take(6))
        {
            var prompt = model.Tokenizer.Encode(TinyModel.Prompt(sample.Question), addSpecialTokens: false);
            var expected = new Sequence(cpu, prompt, blocks).Prefill();
            var actual = new Sequence(torch, prompt, blocks).Prefill();

            // Both in F32 with BF16 weights and KV: what differs is the order of sums and, now and then, a last bit
            // of KV.
            for (var i = 0; i < expected.Length; i++) Assert.InRange(actual[i] - expected[i], -0.05, 0.05);
            Assert.Equal(
                new Sequence(cpu, prompt, blocks).Decode(24, stop),
                new Sequence(torch, prompt, blocks).Decode(24, stop));
        }
    }

    [TorchFact]
    public void A_block_goes_to_the_CPUs_engine_and_on_from_there()
    {
        using var model = TinyModel.Open();
        using var torch = ModelRunners.Create(model, WorkerDevice.Torch, null, 16, KvMemoryBytes, 1);
        using var cpu = ModelRunners.Create(model, WorkerDevice.Cpu, null, 16, KvMemoryBytes, 1);
        var prompt = model.Tokenizer.Encode(TinyModel.Prompt("Count from 7 to 12."), addSpecialTokens: false);
        var source = new Sequence(torch, prompt, [5, 3, 1, 0]);
        var expected = source.Prefill();
        var moved = new Sequence(cpu, prompt, [2, 7, 4, 6]);
        moved.TakeKvFrom(source);

        var actual = moved.Prefill();
        for (var i = 0; i < expected.Length; i++) Assert.InRange(actual[i] - expected[i], -0.05, 0.05);
    }
}

/// <summary>Skipped where the build has no TorchSharp.</summary>
internal sealed class TorchFactAttribute : FactAttribute
{
    public TorchFactAttribute()
    {
#if !WITH_TORCHSHARP
        Skip = "built without TorchSharp; build with -p:WithTorchSharp=true";
#endif
    }
}
