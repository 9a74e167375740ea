using Krewe.Abstractions;
using Krewe.Control.Kv;
using Krewe.KvStore;
using Krewe.KvStore.Disk;
using Krewe.KvStore.Host;
using Krewe.Workers;
using Microsoft.Extensions.Logging.Abstractions;
using static Krewe.Cuda.Tests.Runner.EmulatedRunner;

namespace Krewe.Cuda.Tests.Runner;

/// <summary>KV objects from a real disk straight into the emulated GPU, by an emulated cuFile.</summary>
[Collection(EmulatedGpuDefinition.Name)]
public sealed class DirectStorageTests : IDisposable
{
    private static readonly PrefixHash[] Hashes = [new(71), new(72), new(73)];

    private readonly EmulatedRunner _it = new();
    private readonly string _folder = Directory.CreateTempSubdirectory("krewe-direct-").FullName;

    public void Dispose()
    {
        _it.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [EmulatedFact]
    public async Task Objects_come_past_the_host_and_are_checked_on_the_GPU()
    {
        var (runner, live) = (_it.Create(Options with { DirectStorage = DirectStorage.On }), _it.Emulator.Live());
        var expected = await FillAsync(runner);
        await using (var tiers = await OpenAsync(runner))
        {
            Assert.Null(runner.OpenDirect());
            Assert.NotEqual(live, _it.Emulator.Live());
            _it.Emulator.Forget();
            var restore = await RestoreAsync(tiers, [5, 6, 7]);

            Assert.Equal((3, null), (restore.GoodBlocks, restore.DirectFailure));
            var calls = _it.Emulator.Calls();
            Assert.Equal(3, calls.Count(call => call == "cuFileRead"));
            Assert.Equal(3, calls.Count(call => call == "launch crc32c"));
            Assert.DoesNotContain("cuMemcpyHtoDAsync_v2", calls);
            Assert.Equal(expected, Bytes(runner, [5, 6, 7]));
        }

        ((CudaKvArena)runner.Kv).Dispose();
        Assert.EndsWith(" 0", _it.Emulator.Live());
    }

    [EmulatedFact]
    public async Task A_flipped_bit_is_found_and_what_lies_before_it_is_kept()
    {
        var runner = _it.Create(Options with { DirectStorage = DirectStorage.On });
        var expected = await FillAsync(runner);
        Flip(expected[1]);
        await using var tiers = await OpenAsync(runner);
        Assert.Null(runner.OpenDirect());
        var restore = await RestoreAsync(tiers, [5, 6, 7]);

        Assert.Equal((1, null), (restore.GoodBlocks, restore.DirectFailure));
        Assert.Equal(expected[0], Bytes(runner, [5])[0]);
        Assert.Null(tiers.Find(Hashes[1]));
        Assert.NotNull(tiers.Find(Hashes[2]));
    }

    [EmulatedTheory]
    [InlineData("cuFileRead", 5030)]
    [InlineData("cuFileHandleRegister", 5027)]
    public async Task Where_the_way_fails_objects_come_by_the_host_and_stay(string call, int status)
    {
        var runner = _it.Create(Options with { DirectStorage = DirectStorage.On });
        var expected = await FillAsync(runner);
        await using var tiers = await OpenAsync(runner);
        Assert.Null(runner.OpenDirect());
        _it.Emulator.Fail(call, 0, status);
        var restore = await RestoreAsync(tiers, [5, 6, 7]);

        Assert.Equal(3, restore.GoodBlocks);
        Assert.Contains($"{call} failed with a cuFile status", restore.DirectFailure);
        Assert.Equal(expected, Bytes(runner, [5, 6, 7]));
        Assert.Null((await RestoreAsync(tiers, [8, 9, 10])).DirectFailure);
    }

    [EmulatedFact]
    public void Where_it_cannot_be_the_reason_is_told_or_the_worker_does_not_start()
    {
        Assert.Contains("off", _it.Create(Options with { DirectStorage = DirectStorage.Off }).OpenDirect());
        var demanded = _it.Create(Options with { DirectStorage = DirectStorage.On });
        foreach (var call in new[] { "cuFileDriverOpen", "cuFileBufRegister" })
        {
            _it.Emulator.Fail(call, 0, 5007);
            var refusal = Assert.Throws<KreweException>(() => demanded.OpenDirect());
            Assert.Equal(ErrorCode.DeviceUnavailable, refusal.Code);
            Assert.Contains(call, refusal.Message);
        }
    }

    /// <summary>Three blocks on disk and nowhere else; their bytes.</summary>
    private async Task<byte[][]> FillAsync(CudaModelRunner runner)
    {
        Fill(runner, 0, 1, 2);
        await using var tiers = await OpenAsync(runner);
        for (var i = 0; i < Hashes.Length; i++)
            Assert.True(tiers.Spill(Hashes[i], new BlockId(i), recomputeSeconds: 1));
        return Bytes(runner, [0, 1, 2]);
    }

    private async Task<KvTiers> OpenAsync(CudaModelRunner runner)
    {
        var geometry = runner.Kv.Geometry;
        var store = await SsdObjectStore.OpenAsync(new SsdStoreOptions
        {
            Directories = [_folder],
            Geometry = geometry,
            Numerics = runner.Numerics,
            Model = "tiny",
            CapacityBytes = 4 << 20,
            SegmentBytes = 4 << 20,
        });
        return new KvTiers(
            await TieredStore.CreateAsync(new HostTier(geometry, 8L * geometry.BlockBytes), store), runner.Kv,
            checkpoints: false, hostIsBuffer: true, TimeProvider.System, NullLogger.Instance);
    }

    private static async Task<SequenceRestore> RestoreAsync(KvTiers tiers, int[] blocks)
    {
        var restore = tiers.TryRestore(Hashes, blocks, 0, TimeSpan.FromSeconds(1))!;
        await restore.Completion;
        return restore;
    }

    private void Flip(byte[] block)
    {
        foreach (var path in Directory.GetFiles(_folder))
        {
            var bytes = File.ReadAllBytes(path);
            var at = bytes.AsSpan().IndexOf(block.AsSpan(0, 64));
            if (at < 0) continue;
            bytes[at + (block.Length / 2)] ^= 4;
            File.WriteAllBytes(path, bytes);
            return;
        }

        Assert.Fail("The block is in no file.");
    }

    private static byte[][] Bytes(CudaModelRunner runner, int[] blocks) =>
        Array.ConvertAll(blocks, block => EmulatedRunner.Bytes(runner, block));
}
