using System.Runtime.InteropServices;
using Krewe.Abstractions;
using Krewe.Kernels.Cuda;
using Krewe.Workers;
using static Krewe.Cuda.Tests.Runner.EmulatedRunner;
using Sequence = Krewe.Workers.Tests.Runner.Sequence;

namespace Krewe.Cuda.Tests.Runner;

/// <summary>What copies of KV wait for, and what is left of them when they fail or when a worker ends.</summary>
[Collection(EmulatedGpuDefinition.Name)]
public sealed unsafe class CopyFaultTests : IDisposable
{
    private readonly EmulatedRunner _it = new();
    private readonly int[] _prompt;

    public CopyFaultTests() => _prompt = _it.Prompt("What is 7 plus 5?");

    public void Dispose() => _it.Dispose();

    /// <summary>The host queues a prefill's layers long before the GPU comes to them; a peer waits for its
    /// own.</summary>
    [EmulatedTheory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_layer_is_waited_for_and_those_behind_it_are_not(bool peerCopies)
    {
        var runner = _it.Create();
        var sequence = new Sequence(runner, _prompt, Blocks(runner, 1));
        var after = new AfterLastLayer((CudaKvArena)runner.Kv, Blocks(runner, 1)[0], peerCopies);
        var batch = new StepBatch { Observer = after };
        sequence.AddTo(batch);

        runner.Run(batch);

        Assert.Equal([true, false, false, false], after.IsStored);
        var whole = new byte[runner.Kv.Geometry.BlockBytes];
        runner.Kv.CopyOut(new BlockId(Blocks(runner, 1)[0]), whole);
        Assert.All(whole.Chunk(runner.Kv.Geometry.LayerBytes), layer => Assert.False(IsPoison(layer)));
    }

    [EmulatedFact]
    public void A_transfer_that_fails_leaves_none_under_way()
    {
        var runner = _it.Create();
        var (arena, bytes) = ((CudaKvArena)runner.Kv, runner.Kv.Geometry.BlockBytes);
        Fill(runner, 0, 1, 5);
        BlockSlice[] two = [Whole(0), Whole(1)];
        var memory = (byte*)NativeMemory.AlignedAlloc((nuint)(2 * bytes), 4096);
        var host = new Span<byte>(memory, 2 * bytes);
        using (arena.TryPin((nint)memory, 2 * bytes, out _))
        {
            _it.Emulator.Fail("cuMemcpyDtoHAsync_v2", 1, 1);
            Assert.Throws<CudaException>(() => arena.CopyOut(two, new Span<byte>(memory, 2 * bytes)));
            // The memory is somebody else's now.
            host.Fill(0x11);
            arena.CopyOut(new BlockId(5), new byte[bytes]);
            Assert.Equal(-1, host.IndexOfAnyExcept((byte)0x11));

            _it.Emulator.Fail("cuMemcpyHtoDAsync_v2", 1, 1);
            Assert.Throws<CudaException>(() => arena.CopyIn(two, new ReadOnlySpan<byte>(memory, 2 * bytes)));
            host.Fill(0x22);
            var first = new byte[bytes];
            arena.CopyOut(new BlockId(0), first);
            Assert.Equal(-1, first.AsSpan().IndexOfAnyExcept((byte)0x11));
        }

        NativeMemory.AlignedFree(memory);
        // By way of the staging memory: its list of pieces is written anew by the next call.
        _it.Emulator.Fail("cuMemcpyDtoHAsync_v2", 0, 1);
        _it.Emulator.Forget();
        Assert.Throws<CudaException>(() => arena.CopyOut(two, new byte[2 * bytes]));
        Assert.Equal("cuStreamSynchronize", _it.Emulator.Calls()[^1]);

        BlockSlice Whole(int block) => new(new BlockId(block), 0, bytes);
    }

    /// <summary>A peer keeps a mapping for seconds after the last link: memory that it has open is never
    /// freed.</summary>
    [EmulatedTheory]
    [InlineData(CudaKvMemory.Plain)]
    [InlineData(CudaKvMemory.Virtual)]
    public void A_holder_that_ends_takes_nothing_from_a_worker_that_has_its_memory_open(CudaKvMemory memory)
    {
        _it.Emulator.AllowOwnHandles();
        var live = _it.Emulator.Live();
        using (var target = Unowned(memory))
        {
            byte[] expected;
            IPeerDevice peer;
            using (var source = Unowned(memory))
            {
                Fill(source, 7);
                expected = Bytes(source, 7);
                peer = OpenPeer(target, source, out _)!;
            }

            BlockSlice[] from = [new(new BlockId(7), 0, expected.Length)];
            peer.CopyIn(SliceList.Write(from, expected.Length), [from[0] with { Block = new BlockId(3) }]);
            Assert.Equal(expected, Bytes(target, 3));
            peer.Dispose();
            peer.Dispose();
        }

        // Nor does it stay for ever: it went with the context, or with the last who had it.
        Assert.Equal(live, _it.Emulator.Live());
    }

    [EmulatedTheory]
    [InlineData(CudaKvMemory.Plain)]
    [InlineData(CudaKvMemory.Virtual)]
    public void A_lost_context_has_taken_everything_along(CudaKvMemory kind)
    {
        var runner = Unowned(kind);
        var memory = NativeMemory.AlignedAlloc(4096, 4096);
        var pin = ((CudaKvArena)runner.Kv).TryPin((nint)memory, 4096, out _)!;
        string[] calls =
        [
            "cuMemHostUnregister", "cuMemFree_v2", "cuStreamDestroy_v2", "cuEventDestroy_v2",
            "cuDevicePrimaryCtxRelease_v2", "cuCtxSynchronize", "cuMemUnmap", "cuMemAddressFree", "cuMemRelease",
        ];
        foreach (var call in calls)
            _it.Emulator.Fail(call, 0, 719);

        pin.Dispose();
        runner.Dispose();
        NativeMemory.AlignedFree(memory);
    }

    [Theory]
    [InlineData(214, true)]
    [InlineData(700, true)]
    [InlineData(719, true)]
    [InlineData(2, false)]
    [InlineData(701, false)]
    [InlineData(712, false)]
    public void Only_statuses_that_break_a_context_end_a_worker(int status, bool isLost) =>
        Assert.Equal(isLost, new CudaException("cuCall", status, "name", "").IsContextLost);

    private CudaModelRunner Unowned(CudaKvMemory memory) => (CudaModelRunner)ModelRunners.Create(
        _it.Model, WorkerDevice.Cuda, null, 16, 2 << 20, 1, shareKv: true, cuda: Options with { KvMemory = memory });

    private static bool IsPoison(ReadOnlySpan<byte> bytes) => bytes.IndexOfAnyExcept((byte)0xff) < 0;

    /// <summary>When the last layer is queued, waits for the first one and looks which are in memory.</summary>
    private sealed class AfterLastLayer(CudaKvArena arena, int block, bool peerCopies) : ILayerObserver
    {
        public bool[] IsStored { get; private set; } = [];

        public void LayerStored(int layer)
        {
            if (layer < arena.Geometry.Layers - 1) return;
            BlockSlice[] first = [new(new BlockId(block), 0, arena.Geometry.LayerBytes)];
            if (peerCopies) arena.WaitUntilStored(first);
            else arena.CopyOut(first, new byte[arena.Geometry.LayerBytes]);
            // The emulated GPU's memory is the host's.
            var start = (byte*)arena.Address + ((long)block * arena.Geometry.BlockBytes);
            IsStored =
            [
                .. Enumerable.Range(0, arena.Geometry.Layers).Select(i => !IsPoison(new ReadOnlySpan<byte>(
                    start + (i * arena.Geometry.LayerBytes), arena.Geometry.LayerBytes))),
            ];
        }
    }
}
