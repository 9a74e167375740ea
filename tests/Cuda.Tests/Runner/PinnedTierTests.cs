using Krewe.Abstractions;
using Krewe.Control.Kv;
using Krewe.KvStore;
using Krewe.KvStore.Host;
using Krewe.Workers;
using Microsoft.Extensions.Logging.Abstractions;
using static Krewe.Cuda.Tests.Runner.EmulatedRunner;
using Sequence = Krewe.Workers.Tests.Runner.Sequence;

namespace Krewe.Cuda.Tests.Runner;

/// <summary>Blocks between a GPU and the host tier, whose memory the GPU reads and writes itself.</summary>
[Collection(EmulatedGpuDefinition.Name)]
public sealed class PinnedTierTests : IDisposable
{
    private readonly EmulatedRunner _it = new();
    private readonly int[] _prompt;

    public PinnedTierTests() => _prompt = _it.Prompt("What is 7 plus 5?");

    public void Dispose() => _it.Dispose();

    [EmulatedTheory]
    [InlineData(null)]
    [InlineData(KvFormat.Int8)]
    public async Task A_spilled_block_goes_down_and_comes_up_with_one_transfer_each(KvFormat? format)
    {
        var runner = _it.Create(kvFormat: format);
        var live = _it.Emulator.Live();
        await using (var tiers = await OpenAsync(runner))
        {
            Assert.NotEqual(live, _it.Emulator.Live());
            new Sequence(runner, _prompt, Blocks(runner, 1)).Prefill();
            var (block, place) = (Blocks(runner, 1)[0], Blocks(runner, 1)[^1]);
            var expected = Bytes(runner, block);
            _it.Emulator.Forget();
            Assert.True(tiers.Spill(new PrefixHash(77), new BlockId(block), recomputeSeconds: 1));
            Assert.Equal(["cuStreamWaitEvent", "cuMemcpyDtoHAsync_v2", "cuStreamSynchronize"], _it.Emulator.Calls());

            _it.Emulator.Forget();
            var restore = tiers.TryRestore([new PrefixHash(77)], [place], 0, TimeSpan.FromSeconds(1))!;
            await restore.Completion;
            Assert.Equal(1, restore.GoodBlocks);
            Assert.Equal(["cuStreamWaitEvent", "cuMemcpyHtoDAsync_v2", "cuStreamSynchronize"], _it.Emulator.Calls());
            Assert.Equal(expected, Bytes(runner, place));
        }
    }

    [EmulatedFact]
    public async Task Where_memory_cannot_be_pinned_blocks_take_the_detour()
    {
        var runner = _it.Create();
        _it.Emulator.Fail("cuMemHostRegister_v2", 0, 2);
        await using var tiers = await OpenAsync(runner);
        new Sequence(runner, _prompt, Blocks(runner, 1)).Prefill();
        var (block, place) = (Blocks(runner, 1)[0], Blocks(runner, 1)[^1]);
        _it.Emulator.Forget();
        Assert.True(tiers.Spill(new PrefixHash(77), new BlockId(block), recomputeSeconds: 1));
        Assert.Contains("launch block_copy", _it.Emulator.Calls());
        await tiers.TryRestore([new PrefixHash(77)], [place], 0, TimeSpan.FromSeconds(1))!.Completion;
        Assert.Equal(Bytes(runner, block), Bytes(runner, place));
    }

    [EmulatedFact]
    public async Task A_copy_that_fails_is_said_and_nothing_stays_pinned()
    {
        var runner = _it.Create();
        var live = _it.Emulator.Live();
        await using (var tiers = await OpenAsync(runner))
        {
            var block = new BlockId(0);
            Assert.True(tiers.Spill(new PrefixHash(77), block, recomputeSeconds: 1));
            _it.Emulator.Fail("cuMemcpyHtoDAsync_v2", 0, 1);
            var restore = tiers.TryRestore([new PrefixHash(77)], [1], 0, TimeSpan.FromSeconds(1))!;
            await Assert.ThrowsAsync<Krewe.Kernels.Cuda.CudaException>(() => restore.Completion);
            Assert.Equal(0, restore.GoodBlocks);
            Assert.NotNull(tiers.Find(new PrefixHash(77)));
        }

        Assert.Equal(live, _it.Emulator.Live());
    }

    private static async Task<KvTiers> OpenAsync(CudaModelRunner runner)
    {
        var host = new HostTier(runner.Kv.Geometry, 8L * runner.Kv.Geometry.BlockBytes);
        return new KvTiers(
            await TieredStore.CreateAsync(host, disk: null), runner.Kv, checkpoints: false, hostIsBuffer: false,
            TimeProvider.System, NullLogger.Instance);
    }
}
