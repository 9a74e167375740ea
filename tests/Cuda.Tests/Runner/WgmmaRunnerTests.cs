using Krewe.Abstractions;
using Krewe.Workers;
using static Krewe.Cuda.Tests.Runner.EmulatedRunner;
using Sequence = Krewe.Workers.Tests.Runner.Sequence;

namespace Krewe.Cuda.Tests.Runner;

/// <summary><c>--cuda-attention</c>: what a runner multiplies by, and that no bit depends on it.</summary>
[Collection(EmulatedGpuDefinition.Name)]
public sealed class WgmmaRunnerTests : IDisposable
{
    private const string Launch = "launch attention_prefill_wgmma";

    private readonly EmulatedRunner _it = new();
    private readonly int[] _prompt;

    public WgmmaRunnerTests() => _prompt = _it.Prompt("The code of amber is 4821. What is it?");

    public void Dispose() => _it.Dispose();

    [EmulatedFact]
    public void A_Hopper_GPU_with_equal_bits_uses_wgmma_and_nothing_else_changes()
    {
        var (usual, hopper) = (_it.Create(), Create(CudaAttention.Auto));
        _it.Emulator.Forget();

        Assert.Contains("wgmma: in the trial at the start", Assert.Single(hopper.AttentionReasons));
        Assert.Equal(usual.Numerics, hopper.Numerics);
        var expected = Bits(new Sequence(usual, _prompt, Blocks(usual, 1)).Prefill());
        Assert.DoesNotContain(Launch, _it.Emulator.Calls());
        Assert.Equal(expected, Bits(new Sequence(hopper, _prompt, Blocks(hopper, 2)).Prefill()));
        Assert.Equal(expected, Bits(new Sequence(hopper, _prompt, Blocks(hopper, 3)).Prefill(7)));
        Assert.Contains(Launch, _it.Emulator.Calls());
    }

    [EmulatedFact]
    public void Where_its_bits_are_others_mma_is_used_or_the_start_refused()
    {
        _it.Emulator.Set(Emulator.OtherSums);
        var runner = Create(CudaAttention.Auto);
        _it.Emulator.Forget();

        Assert.StartsWith(
            "GPU 0: mma.sync, not wgmma: its bits are not those", Assert.Single(runner.AttentionReasons));
        new Sequence(runner, _prompt, Blocks(runner, 1)).Prefill();
        Assert.DoesNotContain(Launch, _it.Emulator.Calls());
        var refusal = Assert.Throws<KreweException>(() => Create(CudaAttention.Wgmma));
        Assert.Equal(ErrorCode.DeviceUnavailable, refusal.Code);
        Assert.Contains("--cuda-attention wgmma: its bits are not those of mma.sync", refusal.Message);
        Assert.Contains("auto or mma", refusal.Message);
    }

    [EmulatedFact]
    public void A_GPU_before_Hopper_has_no_choice_and_says_nothing()
    {
        _it.Emulator.Set(architecture: 80);

        Assert.Empty(Create(CudaAttention.Auto).AttentionReasons);
        Assert.Contains("is sm_80", Assert.Throws<KreweException>(() => Create(CudaAttention.Wgmma)).Message);
    }

    [EmulatedFact]
    public void A_trial_that_breaks_the_context_names_the_way_around()
    {
        _it.Emulator.Fail("cuStreamSynchronize", 5, 719);
        var failure = Assert.Throws<KreweException>(() => Create(CudaAttention.Auto));

        Assert.Contains("The trial of wgmma failed", failure.Message);
        Assert.Contains("--cuda-attention mma", failure.Message);
    }

    private CudaModelRunner Create(CudaAttention attention) => _it.Create(Options with { Attention = attention });
}
