using System.Runtime.InteropServices;
using Krewe.Abstractions;
using Krewe.Kernels;
using Krewe.Kernels.Cuda;

namespace Krewe.Workers.Benching.Gpu;

/// <summary>A GPU under check: its kernels, a stream, memory that goes back at the end, time by CUDA events.</summary>
internal sealed unsafe class GpuBench : IDisposable
{
    private const int WarmUps = 2;

    private readonly List<IDisposable> _owned = [];
    private readonly List<DeviceMemory> _scratch = [];
    private readonly KernelCache _cache;
    private readonly CudaEvent _begin;
    private readonly CudaEvent _end;

    /// <param name="attention">What runners on this GPU are to use; forced, it is not tried but used.</param>
    public GpuBench(
        CudaLibraries libraries, int ordinal, int headDim, string? cacheDirectory, CudaAttention attention)
    {
        Libraries = libraries;
        try
        {
            Device = Own(CudaDriver.Load(libraries).Open(ordinal));
            Compiler = Nvrtc.Load(libraries, Device.Driver);
            _cache = new KernelCache(cacheDirectory ?? KernelCache.UsualDirectory());
            var options = new KernelOptions(headDim, KvFormat.BF16);
            WgmmaRefusal = attention == CudaAttention.Mma
                ? "--cuda-attention is mma" : WgmmaTrial.Refusal(Device.Info, Compiler, options);
            Kernels = Compile(options with { Wgmma = WgmmaRefusal is null });
            Int8Kernels = Compile(Kernels.Options with { Int8Kv = true });
            Stream = Own(Device.CreateStream());
            if (WgmmaRefusal is null)
            {
                MmaKernels = Compile(Kernels.Options);
                MmaKernels.UsesWgmma = false;
            }

            (_begin, _end) = (Own(Device.CreateEvent(timed: true)), Own(Device.CreateEvent(timed: true)));
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public CudaLibraries Libraries { get; }

    public CudaDevice Device { get; }

    public Nvrtc Compiler { get; }

    public CudaKernels Kernels { get; }

    /// <summary>The same for KV in INT8.</summary>
    public CudaKernels Int8Kernels { get; }

    /// <summary>The same with prefill attention by mma.sync, where the others have it by wgmma.</summary>
    public CudaKernels? MmaKernels { get; }

    /// <summary>Why there is no wgmma; null where there is.</summary>
    public string? WgmmaRefusal { get; }

    public CudaStream Stream { get; }

    public nint Room(long bytes)
    {
        var memory = Device.Allocate(Math.Max(16, bytes), "gpucheck");
        _scratch.Add(memory);
        // NaNs: what a kernel should have written and did not shows.
        Stream.Fill(memory.Address, 0xff, memory.Bytes);
        return memory.Address;
    }

    public nint Upload<T>(params T[] values)
        where T : unmanaged
    {
        var address = Room(values.Length * (long)sizeof(T));
        fixed (T* source = values)
        {
            Stream.CopyToDevice(address, source, values.Length * (long)sizeof(T));
            Stream.Synchronize();
        }

        return address;
    }

    public T[] Download<T>(nint address, long count)
        where T : unmanaged
    {
        var values = new T[count];
        fixed (T* target = values)
        {
            Stream.CopyToHost(target, address, count * sizeof(T));
            Stream.Synchronize();
        }

        return values;
    }

    /// <summary>[rows x outputs] of a product whose chunks may lie apart, added as the kernels add them.</summary>
    public float[] Download(Partials product, int rows)
    {
        var count = (long)rows * product.RowStride;
        var sum = Download<float>(product.Data, count);
        for (var chunk = 1; chunk < product.Chunks; chunk++)
        {
            var plane = Download<float>(product.Data + (nint)(chunk * product.ChunkStride * sizeof(float)), count);
            for (var i = 0; i < count; i++) sum[i] += plane[i];
        }

        return sum;
    }

    /// <summary>Random BF16 numbers of up to <paramref name="scale"/> that repeat after a megabyte.</summary>
    public nint RandomElements(long count, float scale, int seed)
    {
        var random = new Random(seed);
        var tile = new ushort[Math.Min(count, 1 << 19)];
        for (var i = 0; i < tile.Length; i++)
            tile[i] = KvNumber.ToBrain((float)((random.NextDouble() * 2) - 1) * scale);
        var address = Room(count * sizeof(ushort));
        var source = Upload(tile);
        for (long at = 0; at < count; at += tile.Length)
        {
            Stream.CopyOnDevice(
                address + (nint)(at * sizeof(ushort)), source, Math.Min(tile.Length, count - at) * sizeof(ushort));
        }

        Stream.Synchronize();
        return address;
    }

    /// <summary>Seconds of one call, the best of some; the work is the stream's.</summary>
    public double Time(Action queue, int repeats)
    {
        for (var i = 0; i < Math.Min(WarmUps, repeats); i++) queue();
        var best = double.PositiveInfinity;
        for (var i = 0; i < repeats; i++)
        {
            _begin.Record(Stream);
            queue();
            _end.Record(Stream);
            _end.Synchronize();
            best = Math.Min(best, _end.MillisecondsSince(_begin) / 1000);
        }

        return best;
    }

    /// <summary>Gives back what <see cref="Room"/> lent.</summary>
    public void Clear()
    {
        Stream.Synchronize();
        foreach (var memory in _scratch) memory.Dispose();
        _scratch.Clear();
    }

    public static bool SameBits(float[] left, float[] right) =>
        MemoryMarshal.AsBytes(left.AsSpan()).SequenceEqual(MemoryMarshal.AsBytes(right.AsSpan()));

    public void Dispose()
    {
        foreach (var memory in _scratch) memory.Dispose();
        _scratch.Clear();
        for (var i = _owned.Count - 1; i >= 0; i--) _owned[i].Dispose();
        _owned.Clear();
    }

    private CudaKernels Compile(KernelOptions options) => Own(new CudaKernels(Device, Compiler, _cache, options));

    private T Own<T>(T owned)
        where T : IDisposable
    {
        _owned.Add(owned);
        return owned;
    }
}
