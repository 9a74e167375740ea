using Krewe.Abstractions;
using Krewe.Workers;
using static Krewe.Cuda.Tests.Runner.EmulatedRunner;
using Sequence = Krewe.Workers.Tests.Runner.Sequence;

namespace Krewe.Cuda.Tests.Runner;

/// <summary>Order of work and ways out, as the recording driver sees them.</summary>
[Collection(EmulatedGpuDefinition.Name)]
public sealed class CudaFaultTests : IDisposable
{
    private readonly EmulatedRunner _it = new();
    private readonly int[] _prompt;

    public CudaFaultTests() => _prompt = _it.Prompt("The code of amber is 4821. What is the code of amber?");

    public void Dispose() => _it.Dispose();

    [EmulatedFact]
    public void A_copy_out_in_the_middle_of_a_step_waits_for_the_layer_it_is_of()
    {
        var runner = _it.Create();
        var blocks = Blocks(runner, 1);
        var watcher = new LayerCopier(runner, new BlockId(blocks[0]));
        var sequence = new Sequence(runner, _prompt, blocks);
        var batch = new StepBatch { Observer = watcher };
        sequence.AddTo(batch);
        runner.Run(batch);

        var whole = new byte[runner.Kv.Geometry.BlockBytes];
        runner.Kv.CopyOut(new BlockId(blocks[0]), whole);
        Assert.Equal(runner.Kv.Geometry.Layers, watcher.Layers.Count);
        Assert.Equal(whole, watcher.Layers.SelectMany(layer => layer));
        // Poison would show as NaNs, all bits set.
        Assert.DoesNotContain(new byte[] { 0xff, 0xff }, watcher.Layers[0].Chunk(2));
    }

    [EmulatedFact]
    public void A_layers_gate_is_asked_before_the_layers_attention()
    {
        var runner = _it.Create();
        var gate = new RecordingGate(_it.Emulator);
        var sequence = new Sequence(runner, _prompt, Blocks(runner, 1));
        var batch = new StepBatch();
        sequence.AddTo(batch);
        batch.Gate = gate;
        runner.Run(batch);

        Assert.Equal(runner.Kv.Geometry.Layers, gate.AttentionsBefore.Count);
        Assert.Equal(Enumerable.Range(0, gate.AttentionsBefore.Count), gate.AttentionsBefore);
    }

    [EmulatedFact]
    public void Whatever_allocation_fails_all_memory_goes_back_and_the_message_says_what_it_was_for()
    {
        var live = _it.Emulator.Live();
        for (var after = 0; ; after += 4)
        {
            _it.Emulator.Set();
            _it.Emulator.Fail("cuMemAlloc_v2", after, 2);
            try
            {
                var runner = (IModelRunner)ModelRunners.Create(
                    _it.Model, WorkerDevice.Cuda, null, 16, 1 << 20, 1, cuda: Options);
                runner.Dispose();
                break;
            }
            catch (KreweException refused)
            {
                Assert.Equal(ErrorCode.DeviceBusy, refused.Code);
                Assert.Contains("CUDA_ERROR_OUT_OF_MEMORY", refused.Message);
                Assert.Matches("[0-9]+ bytes for .*; [0-9]+ are free", refused.Message);
                Assert.Contains("--kv-memory", refused.Message);
                Assert.Equal(live, _it.Emulator.Live());
            }

            Assert.True(after < 200, "every creation failed");
        }

        Assert.Equal(live, _it.Emulator.Live());
    }

    /// <summary>The emulated GPU has 2 GiB.</summary>
    [EmulatedFact]
    public void More_than_the_whole_GPU_is_not_waited_for_and_neither_is_a_GPU_that_is_not_there()
    {
        var tooLarge = Assert.Throws<KreweException>(() => Create(3L << 30, Options));
        var notThere = Assert.Throws<KreweException>(() => Create(1 << 20, Options with { Devices = [7] }));

        Assert.Equal(ErrorCode.DeviceUnavailable, tooLarge.Code);
        Assert.Contains("--kv-memory", tooLarge.Message);
        Assert.Equal(ErrorCode.DeviceUnavailable, notThere.Code);

        IModelRunner Create(long bytes, CudaOptions options) =>
            ModelRunners.Create(_it.Model, WorkerDevice.Cuda, null, 16, bytes, 1, cuda: options);
    }

    [EmulatedTheory]
    [InlineData("cuInit", 100, ErrorCode.DeviceUnavailable)]
    [InlineData("cuDevicePrimaryCtxRetain", 46, ErrorCode.DeviceBusy)]
    [InlineData("cuDevicePrimaryCtxRetain", 2, ErrorCode.DeviceBusy)]
    [InlineData("cuInit", 802, ErrorCode.DeviceBusy)]
    public void What_others_have_for_now_is_told_from_what_is_missing(string call, int status, ErrorCode code)
    {
        _it.Emulator.Fail(call, 0, status);

        Assert.Equal(code, Assert.Throws<KreweException>(() => _it.Create()).Code);
        _it.Create();
    }

    /// <summary>On the CPU it would be another worker than its neighbours, for good.</summary>
    [EmulatedTheory]
    [InlineData(46, WorkerDevice.Cuda)]
    [InlineData(101, WorkerDevice.Cpu)]
    public void By_itself_a_GPU_that_others_have_for_now_is_waited_for(int status, WorkerDevice device)
    {
        _it.Emulator.Fail("cuDevicePrimaryCtxRetain", 0, status);
        var options = new WorkerOptions
        {
            WorkerId = "x",
            Role = WorkerRole.Mixed,
            ModelDirectory = "",
            Silos = [],
            Device = WorkerDevice.Auto,
            Cuda = Options,
        };

        Assert.Equal(device, DeviceChoice.For(_it.Model.Config, options).Device);
    }

    [EmulatedFact]
    public void A_launch_that_fails_is_named_and_the_next_step_has_the_same_bits()
    {
        var runner = _it.Create();
        var expected = Bits(new Sequence(runner, _prompt, Blocks(runner, 1)).Prefill());
        foreach (var after in new[] { 0, 3, 11, 25 })
        {
            _it.Emulator.Fail("cuLaunchKernel", after, 1);
            var failure = Assert.Throws<Krewe.Kernels.Cuda.CudaException>(
                () => new Sequence(runner, _prompt, Blocks(runner, 2)).Prefill());
            Assert.Equal("cuLaunchKernel", failure.Call);
            Assert.Contains("kernel ", failure.Message);
            Assert.Contains("rows", failure.Message);
            Assert.Equal(expected, Bits(new Sequence(runner, _prompt, Blocks(runner, 3)).Prefill()));
        }
    }

    [EmulatedFact]
    public void A_graph_that_cannot_be_recorded_costs_one_step()
    {
        var runner = _it.Create();
        var sequence = new Sequence(runner, _prompt, Blocks(runner, 1));
        var expected = Bits(sequence.Prefill());
        sequence.Rewind(1);
        _it.Emulator.Fail("cuLaunchKernel", 4, 1);
        Assert.Throws<Krewe.Kernels.Cuda.CudaException>(() => sequence.Prefill());
        sequence.Rewind(1);

        Assert.Equal(expected, Bits(sequence.Prefill()));
    }

    [EmulatedFact]
    public void A_broken_context_ends_the_worker_and_not_one_sequence_after_the_other()
    {
        var runner = _it.Create();
        _it.Emulator.Fail("cuEventSynchronize", 0, 719);

        var lost = Assert.Throws<DeviceLostException>(
            () => new Sequence(runner, _prompt, Blocks(runner, 1)).Prefill());
        Assert.Contains("CUDA_ERROR_LAUNCH_FAILED", lost.Message);
    }

    [EmulatedFact]
    public void Nothing_is_left_when_a_runner_ends()
    {
        var live = _it.Emulator.Live();
        using (var runner = (IModelRunner)ModelRunners.Create(
            _it.Model, WorkerDevice.Cuda, null, 16, 1 << 20, 1, cuda: Options))
        {
            var sequence = new Sequence(runner, _prompt, Blocks(runner, 1));
            sequence.Decode(3);
            _it.Emulator.Forget();
        }

        Assert.Equal(live, _it.Emulator.Live());
        // Frees come after the last launch.
        Assert.DoesNotContain(_it.Emulator.Calls(), call => call.StartsWith("launch", StringComparison.Ordinal));
    }

    private sealed class LayerCopier(IModelRunner runner, BlockId block) : ILayerObserver
    {
        public List<byte[]> Layers { get; } = [];

        public void LayerStored(int layer)
        {
            var bytes = new byte[runner.Kv.Geometry.LayerBytes];
            runner.Kv.CopyOut(block, layer * bytes.Length, bytes);
            Layers.Add(bytes);
        }
    }

    private sealed class RecordingGate(Emulator emulator) : ILayerGate
    {
        /// <summary>Attention launches so far, at each question.</summary>
        public List<int> AttentionsBefore { get; } = [];

        public void WaitForLayer(int layer) =>
            AttentionsBefore.Add(emulator.Calls().Count(call => call == "launch attention_prefill"));
    }
}
