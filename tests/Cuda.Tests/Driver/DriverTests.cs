using Krewe.Kernels.Cuda;

namespace Krewe.Cuda.Tests.Driver;

/// <summary>Finding libraries and devices, and saying what is wrong.</summary>
[Collection(EmulatedGpuDefinition.Name)]
public sealed class DriverTests
{
    [Fact]
    public void A_missing_library_is_named_with_its_purpose_and_where_it_was_sought()
    {
        var nowhere = new CudaLibrary("libnothing", "nothing at all", ["libnothing-krewe.so.1"]);

        var missing = Assert.Throws<CudaException>(() => new CudaLibraries(["/some/where"]).Load(nowhere));

        Assert.Contains("libnothing-krewe.so.1", missing.Message);
        Assert.Contains("nothing at all", missing.Message);
        Assert.Contains("/some/where", missing.Message);
        Assert.Contains("--cuda-libraries", missing.Message);
        Assert.Null(missing.Call);
    }

    [Fact]
    public void A_library_without_a_function_is_too_old()
    {
        // The C library is there and has none of the driver's functions.
        var foreign = CudaLibrary.Driver with { FileNames = ["libc.so.6"] };
        if (new CudaLibraries([]).TryLoad(foreign, out _) is not { } library) return;

        var old = Assert.Throws<CudaException>(() => new DriverApi(library));

        Assert.Contains("too old", old.Message);
        Assert.Contains("cuInit", old.Message);
    }

    [EmulatedFact]
    public void Each_way_of_having_no_GPU_is_said()
    {
        using (var gpu = new Gpu())
        {
            gpu.Emulator.Set(devices: 2, architecture: 75);
            var driver = CudaDriver.Load(gpu.Libraries);
            Assert.Contains("sm_75", Assert.Throws<CudaException>(() => driver.Open(1)).Message);
            Assert.Contains("There is no GPU 2", Assert.Throws<CudaException>(() => driver.Open(2)).Message);
            gpu.Emulator.Set(devices: 0);
            var none = Assert.Throws<CudaException>(() => CudaDriver.Load(gpu.Libraries));
            Assert.Equal(100, none.Status);
            Assert.Contains("CUDA_ERROR_NO_DEVICE", none.Message);
        }
    }

    [EmulatedFact]
    public void Kernels_are_on_the_GPU_before_anything_is_recorded()
    {
        // Before CUDA 12.3 none can be loaded then, and the driver would load each at its first launch.
        using var gpu = new Gpu();
        gpu.Emulator.Forget();
        var kernels = gpu.Kernels(128);
        var (tokens, count) = (gpu.Upload(0), gpu.Upload(1));
        var (table, residual) = (gpu.Upload(new ushort[32]), gpu.Poisoned<float>(32));
        Assert.Equal(
            KernelSources.Kernels(KernelSources.All, wgmma: false).Count(),
            gpu.Emulator.Calls().Count(call => call == "cuFuncLoad"));

        using var graph = gpu.Stream.Capture(
            () => kernels.Embed(gpu.Stream, table, 32, 1, tokens, 0, count, 1, residual, 32, 32));
        gpu.Stream.Launch(graph);

        Assert.All(gpu.Download<float>(residual, 32), value => Assert.Equal(0, value));
    }

    [EmulatedFact]
    public void What_may_not_be_called_while_recording_ends_the_recording_and_not_the_stream()
    {
        using var gpu = new Gpu();
        var refused = Assert.Throws<CudaException>(
            () => gpu.Stream.Capture(() => gpu.Device.Allocate(16, "a test")));
        Assert.Equal(900, refused.Status);
        gpu.Stream.Capture(() => { }).Dispose();
        gpu.Stream.Synchronize();
    }

    [EmulatedFact]
    public async Task A_thread_that_used_an_earlier_context_of_the_GPU_gets_the_new_one()
    {
        using var gpu = new Gpu();
        using var turns = new SemaphoreSlim(0);
        using var opened = new SemaphoreSlim(0);
        gpu.Emulator.Set(devices: 2);
        var driver = CudaDriver.Load(gpu.Libraries);
        var first = driver.Open(1);
        CudaDevice? second = null;
        var other = Task.Factory.StartNew(
            () =>
            {
                first.CreateStream().Dispose();
                opened.Release();
                turns.Wait();
                second!.CreateStream().Dispose();
            },
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        await opened.WaitAsync();
        first.Dispose();
        using (second = driver.Open(1))
        {
            turns.Release();
            await other;
        }
    }

    [EmulatedFact]
    public void An_image_that_the_driver_does_not_take_says_which_compiler_to_install()
    {
        using var gpu = new Gpu();
        foreach (var status in new[] { 200, 209, 218, 222 })
        {
            gpu.Emulator.Fail("cuModuleLoadData", 0, status);
            var refused = Assert.Throws<CudaException>(() => gpu.Kernels(64));
            Assert.Contains("the driver is for CUDA 12.4", refused.Message);
            Assert.Contains("install NVRTC 12 or a newer driver", refused.Message);
        }
    }

    [EmulatedFact]
    public void A_newer_GPU_than_the_compiler_gets_intermediate_code()
    {
        using var gpu = new Gpu();
        var compiler = Nvrtc.Load(gpu.Libraries);

        Assert.Equal("sm_90", compiler.TargetFor(90));
        Assert.Equal("compute_90", compiler.TargetFor(120));
        Assert.Equal("compute_80", compiler.TargetFor(86));
        Assert.Throws<CudaException>(() => compiler.TargetFor(75));
    }

    [EmulatedFact]
    public unsafe void Streams_wait_for_events_and_for_nothing_else()
    {
        using var gpu = new Gpu();
        using var other = gpu.Device.CreateStream();
        using var stored = gpu.Device.CreateEvent();
        var source = gpu.Upload(1, 2, 3, 4);
        var target = gpu.Upload(0, 0, 0, 0);
        var seen = stackalloc int[4];

        gpu.Stream.CopyOnDevice(target, source, 16);
        stored.Record(gpu.Stream);
        other.CopyToHost(seen, target, 16);
        other.Synchronize();
        Assert.Equal(0, seen[3]);
        Assert.False(stored.HasRun());
        other.WaitFor(stored);
        other.CopyToHost(seen, target, 16);
        other.Synchronize();

        Assert.Equal(4, seen[3]);
        Assert.True(stored.HasRun());
    }

    [EmulatedFact]
    public void Memory_that_is_out_holds_the_device_open_and_freed_memory_has_no_address()
    {
        using var gpu = new Gpu();
        var memory = gpu.Device.Allocate(1000, "a test");
        Assert.Equal((1, 1000), (gpu.Device.Allocations, (int)gpu.Device.MemoryBytes));
        Assert.Throws<InvalidOperationException>(gpu.Device.Dispose);
        Assert.Throws<ArgumentOutOfRangeException>(() => memory.At(990, 11));
        memory.Dispose();
        memory.Dispose();

        Assert.Throws<ObjectDisposedException>(() => memory.Address);
        Assert.Equal((0, 0), (gpu.Device.Allocations, (int)gpu.Device.MemoryBytes));
    }
}
