using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Google.Protobuf;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using KvGeometry = Krewe.Abstractions.KvGeometry;

namespace Krewe.Workers.Benching.Gpu;

/// <summary>How fast KV blocks leave a GPU and come back: to the host tier, and to another process of the host.</summary>
/// <param name="startHolder">Starts a process that runs <see cref="GpuHolder"/> with so many bytes; null: none can be.
/// </param>
internal sealed unsafe class GpuCopies(
    GpuBench gpu, GpuSizes sizes, TimeProvider time, Func<long, Process>? startHolder)
{
    private static readonly TimeSpan HolderPatience = TimeSpan.FromSeconds(60);

    /// <summary>Blocks of one piece of a handoff.</summary>
    private const int PieceBlocks = 16;

    public IEnumerable<GpuRow> Run()
    {
        // Blocks of an 8-billion-parameter Llama, 2 MiB each; of one layer where it is only to be seen to work.
        var geometry = new KvGeometry(
            sizes.Judged ? 32 : 1, 8, gpu.Kernels.Options.HeadDim, 16, gpu.Kernels.Options.KvFormat);
        using var arena = new CudaKvArena(gpu.Device, gpu.Kernels, geometry, sizes.CopyBytes);
        foreach (var row in HostTier(arena)) yield return row;
        yield return OtherProcess(arena);
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
        var seconds = Best(() =>
        {
            for (var block = 0; block < arena.BlockCount; block++)
            {
                var place = memory + ((long)block * bytes);
                if (outwards) arena.CopyOut(new BlockId(block), new Span<byte>(place, bytes));
                else arena.CopyIn(new BlockId(block), new ReadOnlySpan<byte>(place, bytes));
            }
        });
        return new GpuRow(name, null, Speed(arena, seconds));
    }

    private GpuRow OtherProcess(CudaKvArena arena)
    {
        const string Name = "handoff from another process, CUDA IPC";
        if (startHolder is null) return new GpuRow(Name, null, "not measured: no second process can be started");
        var total = (long)arena.BlockCount * arena.Geometry.BlockBytes;
        using var holder = startHolder(total);
        try
        {
            var line = holder.StandardOutput.ReadLineAsync().WaitAsync(HolderPatience, time).GetAwaiter().GetResult();
            if (line?.Split(' ') is not [var handle, _])
                return new GpuRow(Name, false, $"the other process failed: {holder.StandardError.ReadToEnd().Trim()}");
            var offer = new SharedOffer
            {
                Device = ByteString.CopyFrom(Convert.FromHexString(handle)),
                DeviceBytes = (ulong)total,
            };
            using var peer = arena.TryOpen(offer, out var reason);
            if (peer is null) return new GpuRow(Name, false, $"the memory cannot be opened: {reason}");
            var seconds = Best(() => Pull(arena, peer));
            return new GpuRow(
                Name, ArrivedWhole(arena), string.Create(
                    CultureInfo.InvariantCulture, $"{Speed(arena, seconds)}, in pieces of {PieceBlocks} blocks"));
        }
        catch (TimeoutException)
        {
            return new GpuRow(Name, false, $"the other process said nothing in {HolderPatience.TotalSeconds} s");
        }
        finally
        {
            holder.StandardInput.Close();
            if (!holder.WaitForExit(HolderPatience)) holder.Kill();
        }
    }

    private static void Pull(CudaKvArena arena, IPeerDevice peer)
    {
        var bytes = arena.Geometry.BlockBytes;
        for (var first = 0; first < arena.BlockCount; first += PieceBlocks)
        {
            BlockSlice[] slices =
            [
                .. Enumerable.Range(first, Math.Min(PieceBlocks, arena.BlockCount - first))
                    .Select(block => new BlockSlice(new BlockId(block), 0, bytes)),
            ];
            peer.CopyIn(SliceList.Write(slices, bytes), slices);
        }
    }

    private static bool ArrivedWhole(CudaKvArena arena)
    {
        var bytes = new byte[arena.Geometry.BlockBytes];
        foreach (var block in new[] { 0, arena.BlockCount / 2, arena.BlockCount - 1 })
        {
            arena.CopyOut(new BlockId(block), bytes);
            if (!GpuHolder.Holds(bytes, (long)block * bytes.Length)) return false;
        }

        return true;
    }

    private double Best(Action act)
    {
        act();
        var best = double.PositiveInfinity;
        for (var i = 0; i < sizes.Repeats; i++)
        {
            var begun = time.GetTimestamp();
            act();
            best = Math.Min(best, time.GetElapsedTime(begun).TotalSeconds);
        }

        return best;
    }

    private static string Speed(CudaKvArena arena, double seconds) => string.Create(
        CultureInfo.InvariantCulture,
        $"{(double)arena.BlockCount * arena.Geometry.BlockBytes / seconds / 1e9:0.0} GB/s, blocks of "
            + $"{arena.Geometry.BlockBytes >> 10} KiB");
}
