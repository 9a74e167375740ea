using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Krewe.Abstractions;
using Krewe.Cuda.Tests.Runner;
using Krewe.Kernels.Cuda;
using Krewe.Workers;

namespace Krewe.Cuda.Tests.Driver;

/// <summary>Memory apart from its addresses: what is made is given back, whatever call fails.</summary>
[Collection(EmulatedGpuDefinition.Name)]
public sealed class VirtualMemoryTests : IDisposable
{
    private static readonly string[] Calls =
    [
        "cuMemGetAllocationGranularity", "cuMemCreate", "cuMemAddressReserve", "cuMemMap", "cuMemSetAccess",
    ];

    private readonly Gpu _gpu = new();

    public void Dispose() => _gpu.Dispose();

    /// <summary>As a C compiler lays NVIDIA's structs out (cuda.h of 11.8, 64-bit).</summary>
    [Fact]
    public void Structs_are_laid_out_as_in_NVIDIAs_header()
    {
        Assert.Equal(
            (32, 8, 12, 16), (Unsafe.SizeOf<AllocationProperties>(), Unsafe.SizeOf<MemoryLocation>(),
                Unsafe.SizeOf<AccessDescription>(), Unsafe.SizeOf<DeviceUuid>()));
        Assert.Equal(
            (4, 8, 16, 25, 26), (At("HandleTypes"), At("Location"), At("WindowsMetadata"), At("IsRdmaCapable"),
                At("Usage")));

        static int At(string field) => (int)Marshal.OffsetOf<AllocationProperties>(field);
    }

    [EmulatedFact]
    public void Memory_is_written_read_opened_by_its_descriptor_and_given_back()
    {
        var live = _gpu.Emulator.Live();
        var before = _gpu.Device.FreeBytes();
        using (var memory = _gpu.Device.AllocateVirtual(3 << 20, "a test"))
        {
            Assert.Equal((3L << 20, 4L << 20), (memory.Bytes, memory.WholeBytes));
            Assert.Equal(4 << 20, before - _gpu.Device.FreeBytes());
            _gpu.Stream.Fill(memory.Address, 0x5a, memory.Bytes);
            _gpu.Stream.Synchronize();
            using var file = _gpu.Device.ExportFile(memory);
            using var twice = _gpu.Device.ImportFile(file, memory.WholeBytes);
            Assert.NotEqual(memory.Address, twice.Address);
            Assert.Equal(0x5a, _gpu.Download<byte>(twice.Address + 77, 1)[0]);
            // More than is there.
            Assert.Throws<CudaException>(() => _gpu.Device.ImportFile(file, 6 << 20));
            // The driver refuses a descriptor of anything else.
            using var other = File.OpenHandle("/dev/null");
            Assert.Throws<CudaException>(() => _gpu.Device.ImportFile(other, 2 << 20));
        }

        Assert.Equal(live, _gpu.Emulator.Live());
        Assert.Equal((0L, 0), (_gpu.Device.MemoryBytes, _gpu.Device.Allocations));
    }

    [EmulatedFact]
    public void Whatever_call_fails_nothing_stays_and_the_message_names_it()
    {
        var live = _gpu.Emulator.Live();
        foreach (var call in Calls)
        {
            _gpu.Emulator.Fail(call, 0, 2);
            var failed = Assert.Throws<CudaException>(() => _gpu.Device.AllocateVirtual(1 << 20, "a test"));
            Assert.Equal(call, failed.Call);
            Assert.Equal(live, _gpu.Emulator.Live());
            Assert.Equal((0L, 0), (_gpu.Device.MemoryBytes, _gpu.Device.Allocations));
        }

        var full = Assert.Throws<CudaException>(() => _gpu.Device.AllocateVirtual(3L << 30, "a test"));
        Assert.Matches("cuMemCreate .* bytes for a test; [0-9]+ are free", full.Message);
        using var memory = _gpu.Device.AllocateVirtual(1 << 20, "a test");
        using var file = _gpu.Device.ExportFile(memory);
        live = _gpu.Emulator.Live();
        foreach (var call in (string[])["cuMemImportFromShareableHandle", .. Calls[2..]])
        {
            _gpu.Emulator.Fail(call, 0, 1);
            Assert.Equal(call, Assert.Throws<CudaException>(() => _gpu.Device.ImportFile(file, 2 << 20)).Call);
            Assert.Equal(live, _gpu.Emulator.Live());
        }
    }

    /// <summary>A call that fails on the way out keeps none of the others from being made.</summary>
    [EmulatedTheory]
    [InlineData("cuCtxSynchronize")]
    [InlineData("cuMemUnmap")]
    [InlineData("cuMemAddressFree")]
    [InlineData("cuMemRelease")]
    public void A_failing_free_is_told_and_the_rest_is_freed(string call)
    {
        var memory = _gpu.Device.AllocateVirtual(1 << 20, "a test");
        _gpu.Emulator.Forget();
        _gpu.Emulator.Fail(call, 0, 1);
        Assert.Equal(call, Assert.Throws<CudaException>(memory.Dispose).Call);
        Assert.Equal(["cuCtxSynchronize", "cuMemUnmap", "cuMemAddressFree", "cuMemRelease"], _gpu.Emulator.Calls());
        Assert.Equal(0, _gpu.Device.Allocations);
        memory.Dispose();
    }

    [EmulatedFact]
    public void By_itself_KV_memory_is_virtual_where_that_can_be_and_plain_otherwise_with_the_reason()
    {
        Assert.Null(Arena(CudaKvMemory.Auto, out var made));
        Assert.Equal("cuMemCreate", made);
        Assert.Null(Arena(CudaKvMemory.Plain, out made));
        Assert.Equal("cuMemAlloc_v2", made);
        foreach (var call in Calls)
        {
            _gpu.Emulator.Fail(call, 0, 800);
            Assert.Contains($"{call} failed", Arena(CudaKvMemory.Auto, out made));
            Assert.Equal("cuMemAlloc_v2", made);
            _gpu.Emulator.Fail(call, 0, 800);
            Assert.Equal(call, Assert.Throws<CudaException>(() => Arena(CudaKvMemory.Virtual, out _)).Call);
        }

        // The flag that lets other devices in, where it is wanted and there; else plain memory, which cuFile takes.
        Assert.Null(Arena(CudaKvMemory.Auto, out _, rdma: true));
    }

    [EmulatedFact]
    public void A_GPU_without_virtual_memory_is_refused_where_that_is_demanded()
    {
        _gpu.Emulator.Have(memory: false);
        using var runner = new EmulatedRunner();
        runner.Emulator.Have(memory: false);
        var refused = Assert.Throws<KreweException>(
            () => runner.Create(EmulatedRunner.Options with { KvMemory = CudaKvMemory.Virtual }));
        Assert.Equal(ErrorCode.DeviceUnavailable, refused.Code);
        Assert.Contains("--cuda-kv-memory plain", refused.Message);
        Assert.Contains("no virtual memory", runner.Create().PlainMemoryReason);
        runner.Emulator.Have(rdma: false);
        var direct = EmulatedRunner.Options with { DirectStorage = DirectStorage.On };
        Assert.Contains("closed to GPUDirect Storage", runner.Create(direct).PlainMemoryReason);
        Assert.Null(runner.Create().PlainMemoryReason);
    }

    /// <summary>Why it is plain, and the last call that made memory of the arena's size.</summary>
    private string? Arena(CudaKvMemory memory, out string made, bool rdma = false)
    {
        var (live, geometry) = (_gpu.Emulator.Live(), new KvGeometry(2, 2, 64, 16, KvFormat.BF16));
        _gpu.Kernels();
        try
        {
            live = _gpu.Emulator.Live();
            _gpu.Emulator.Forget();
            using var arena = new CudaKvArena(_gpu.Device, _gpu.Kernels(), geometry, 1 << 20, memory, rdma);
            made = _gpu.Emulator.Calls().First(
                call => call == "cuMemAlloc_v2" || (call == "cuMemCreate" && arena.PlainReason is null));
            return arena.PlainReason;
        }
        finally
        {
            Assert.Equal(live, _gpu.Emulator.Live());
        }
    }
}
