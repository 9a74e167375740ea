using System.Globalization;
using System.Runtime.InteropServices;
using Krewe.Abstractions;
using KvGeometry = Krewe.Abstractions.KvGeometry;

namespace Krewe.Workers.Benching.Gpu;

/// <summary>How fast KV blocks leave a GPU and come back: to the host tier.</summary>
internal sealed unsafe class GpuCopies(GpuBench gpu, GpuSizes sizes, TimeProvider time)
{
    public IEnumerable<GpuRow> Run()
    {
        // Blocks of an 8-billion-parameter Llama, 2 MiB each; of one layer where it is only to be seen to work.
        var geometry = new KvGeometry(
            sizes.Judged ? 32 : 1, 8, gpu.Kernels.Options.HeadDim, 16, gpu.Kernels.Options.KvFormat);
        using var arena = new CudaKvArena(gpu.Device, gpu.Kernels, geometry, sizes.CopyBytes);
        foreach (var row in HostTier(arena)) yield return row;
    }

    private List<GpuRow> HostTier(CudaKvArena arena)
    {
        var rows = new List<GpuRow>();
        var total = (long)arena.BlockCount * arena.Geometry.BlockBytes;
        var memory = (byte*)NativeMemory.AlignedAlloc((nuint)total, 4096);
        NativeMemory.Clear(memory, (nuint)total);
        try
        {
            rows.Add(Copy("spill, by way of staging", arena, memory, outwards: true));
            rows.Add(Copy("restore, by way of staging", arena, memory, outwards: false));
            using var pin = arena.TryPin((nint)memory, total, out var reason);
            if (pin is null)
            {
                rows.Add(new GpuRow("spill to pinned host memory", null, $"not measured: {reason}"));
                return rows;
            }

            rows.Add(Copy("spill to pinned host memory", arena, memory, outwards: true));
            rows.Add(Copy("restore from pinned host memory", arena, memory, outwards: false));
            return rows;
        }
        finally
        {
            NativeMemory.AlignedFree(memory);
        }
    }

    private GpuRow Copy(string name, CudaKvArena arena, byte* memory, bool outwards)
    {
        var bytes = arena.Geometry.BlockBytes;
        var seconds = Best(CopyAll, sizes.Repeats, time);
        return new GpuRow(name, null, Speed(arena, seconds));

        void CopyAll()
        {
            for (var block = 0; block < arena.BlockCount; block++)
            {
                var place = memory + ((long)block * bytes);
                if (outwards) arena.CopyOut(new BlockId(block), new Span<byte>(place, bytes));
                else arena.CopyIn(new BlockId(block), new ReadOnlySpan<byte>(place, bytes));
            }
        }
    }

    /// <summary>Seconds of the fastest of so many runs, after one that does not count.</summary>
    internal static double Best(Action act, int repeats, TimeProvider time)
    {
        act();
        var best = double.PositiveInfinity;
        for (var i = 0; i < repeats; i++)
        {
            var begun = time.GetTimestamp();
            act();
            best = Math.Min(best, time.GetElapsedTime(begun).TotalSeconds);
        }

        return best;
    }

    internal static string Speed(CudaKvArena arena, double seconds) => string.Create(
        CultureInfo.InvariantCulture,
        $"{(double)arena.BlockCount * arena.Geometry.BlockBytes / seconds / 1e9:0.0} GB/s, blocks of "
            + $"{arena.Geometry.BlockBytes >> 10} KiB");
}
