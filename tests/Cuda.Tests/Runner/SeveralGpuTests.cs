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

    /// <summary>One rank that queued an exchange would wait for the other for ever.</summary>
    [EmulatedTheory]
    [InlineData("cuLaunchKernel", 17)]
    [InlineData("cuLaunchKernel", 44)]
    [InlineData("ncclAllGather", 3)]
    [InlineData("cuEventRecord", 1)]
    public async Task A_call_that_fails_on_one_GPU_ends_the_worker_and_leaves_nobody_waiting(string call, int after)
    {
        var gpu = _it.Create(Options with { Devices = [0, 1] });
        new Sequence(gpu, _prompt, Blocks(gpu, 1)).Prefill();
        _it.Emulator.Fail(call, after, 1);
        var step = Task.Run(() => new Sequence(gpu, _prompt, Blocks(gpu, 2)).Prefill());
        var lost = await Assert.ThrowsAsync<DeviceLostException>(() => step.WaitAsync(TimeSpan.FromMinutes(2)));
        Assert.Contains("out of step", lost.Message);
        Assert.Contains($"{call} failed", lost.Message);
        // Each of the two was told to end.
        Assert.Equal(2, _it.Emulator.Calls().Count(made => made == "ncclCommAbort"));
        Assert.DoesNotContain("ncclCommDestroy", _it.Emulator.Calls());
    }

    [EmulatedFact]
    public void Room_that_lacks_on_one_GPU_fails_the_step_and_not_the_worker()
    {
        var gpu = _it.Create(Options with { Devices = [0, 1] });
        var expected = Bits(new Sequence(gpu, _prompt, Blocks(gpu, 1)).Prefill());
        var more = Enumerable.Range(0, 150).Select(i => i + 20).ToArray();
        _it.Emulator.Fail("cuMemAlloc_v2", 14, 2);
        var failed = Assert.Throws<Krewe.Kernels.Cuda.CudaException>(
            () => new Sequence(gpu, more, Blocks(gpu, 2)).Prefill());
        Assert.Equal("cuMemAlloc", failed.Call);
        Assert.DoesNotContain("ncclCommAbort", _it.Emulator.Calls());
        Assert.Equal(expected, Bits(new Sequence(gpu, _prompt, Blocks(gpu, 3)).Prefill()));
    }

    [EmulatedFact]
    public void A_gate_that_fails_costs_the_step_alone()
    {
        var gpu = _it.Create(Options with { Devices = [0, 1] });
        var expected = Bits(new Sequence(gpu, _prompt, Blocks(gpu, 1)).Prefill());
        var batch = new StepBatch { Gate = new ClosedGate() };
        new Sequence(gpu, _prompt, Blocks(gpu, 2)).AddTo(batch);
        Assert.Equal("closed", Assert.Throws<IOException>(() => gpu.Run(batch)).Message);
        Assert.Equal(expected, Bits(new Sequence(gpu, _prompt, Blocks(gpu, 3)).Prefill()));
    }

    /// <summary>The gate's error came first, but one GPU is not where the other is.</summary>
    [EmulatedFact]
    public async Task A_GPU_that_dies_while_a_gate_fails_ends_the_worker_and_leaves_nobody_waiting()
    {
        var gpu = _it.Create(Options with { Devices = [0, 1] });
        new Sequence(gpu, _prompt, Blocks(gpu, 1)).Prefill();
        var batch = new StepBatch { Gate = new ClosedGate(before: () => _it.Emulator.Die(1, 4, 719)) };
        new Sequence(gpu, _prompt, Blocks(gpu, 2)).AddTo(batch);
        var step = Task.Run(() => gpu.Run(batch));
        await Assert.ThrowsAsync<DeviceLostException>(() => step.WaitAsync(TimeSpan.FromMinutes(2)));
        Assert.Equal(2, _it.Emulator.Calls().Count(made => made == "ncclCommAbort"));
    }

    [EmulatedFact]
    public void What_fails_after_a_gate_failed_parts_the_ranks_unless_the_gate_stopped_it()
    {
        using var meeting = new RankMeeting(1);
        var (closed, call) = (new IOException("closed"), new CudaException("cuLaunchKernel", 1, "", ""));
        Assert.Same(closed, Assert.Throws<IOException>(() => meeting.Gate(new ClosedGate(closed), 0).WaitForLayer(2)));
        meeting.Fail(closed);
        Assert.Null(meeting.WhatParts(closed));
        Assert.Null(meeting.WhatParts(new OperationCanceledException()));
        Assert.Same(call, meeting.WhatParts(call));

        using var other = new RankMeeting(1);
        var any = new InvalidOperationException("no gate's");
        other.Fail(any);
        Assert.Same(any, other.WhatParts(any));
        Assert.Same(any, other.WhatParts(new OperationCanceledException()));
    }

    private sealed class ClosedGate(Exception? error = null, Action? before = null) : ILayerGate
    {
        public void WaitForLayer(int layer)
        {
            if (layer != 2) return;
            before?.Invoke();
            throw error ?? new IOException("closed");
        }
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
