using Krewe.Abstractions;
using Krewe.Kernels.Cuda;

namespace Krewe.Cuda.Tests;

/// <summary>The emulated GPU of a test: memory goes back when the test ends, and the emulator's settings too.</summary>
internal sealed unsafe class Gpu : IDisposable
{
    private readonly List<IDisposable> _owned = [];
    private readonly Dictionary<KernelOptions, CudaKernels> _kernels = [];

    public Gpu()
    {
        Libraries = new CudaLibraries([EmulatedLibraries.Directory]);
        Emulator = new Emulator(Libraries);
        Emulator.Set();
        Emulator.Forget();
        Device = CudaDriver.Load(Libraries).Open(0);
        Stream = Device.CreateStream();
    }

    public CudaLibraries Libraries { get; }

    public Emulator Emulator { get; }

    public CudaDevice Device { get; }

    public CudaStream Stream { get; }

    public CudaKernels Kernels(int headDim = 64, KvFormat format = KvFormat.BF16) =>
        Kernels(new KernelOptions(headDim, format));

    public CudaKernels Kernels(KernelOptions options)
    {
        if (_kernels.TryGetValue(options, out var kernels)) return kernels;
        kernels = new CudaKernels(
            Device, Nvrtc.Load(Libraries), new KernelCache(EmulatedLibraries.CacheDirectory), options);
        _kernels.Add(options, kernels);
        return kernels;
    }

    public nint Upload<T>(params T[] values)
        where T : unmanaged
    {
        var memory = Own(Device.Allocate(Math.Max(1, values.Length) * (long)sizeof(T), "a test's numbers"));
        fixed (T* source = values)
        {
            Stream.CopyToDevice(memory.Address, source, values.Length * (long)sizeof(T));
            Stream.Synchronize();
        }

        return memory.Address;
    }

    /// <summary>Memory full of NaNs: what a kernel should have written and did not shows.</summary>
    public nint Poisoned<T>(long count)
        where T : unmanaged
    {
        var memory = Own(Device.Allocate(count * sizeof(T), "a test's result"));
        Stream.Fill(memory.Address, 0xff, memory.Bytes);
        return memory.Address;
    }

    public T[] Download<T>(nint address, int count)
        where T : unmanaged
    {
        var values = new T[count];
        fixed (T* target = values)
        {
            Stream.CopyToHost(target, address, count * (long)sizeof(T));
            Stream.Synchronize();
        }

        return values;
    }

    /// <summary>[rows x outputs] of a product whose chunks may lie apart.</summary>
    public float[] Download(Partials partials, int rows)
    {
        var count = rows * partials.RowStride;
        var sum = Download<float>(partials.Data, count);
        for (var chunk = 1; chunk < partials.Chunks; chunk++)
        {
            var plane = Download<float>(partials.Data + (nint)(chunk * partials.ChunkStride * sizeof(float)), count);
            for (var i = 0; i < count; i++) sum[i] += plane[i];
        }

        return sum;
    }

    public T Own<T>(T owned)
        where T : IDisposable
    {
        _owned.Add(owned);
        return owned;
    }

    public void Dispose()
    {
        Emulator.Set();
        foreach (var kernels in _kernels.Values) kernels.Dispose();
        foreach (var owned in _owned) owned.Dispose();
        Stream.Dispose();
        Device.Dispose();
    }
}

/// <summary>Tests that set the emulator, which is one for the process, run one after the other.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class EmulatedGpuDefinition
{
    public const string Name = "emulated GPU";
}
