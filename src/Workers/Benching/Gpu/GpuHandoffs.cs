using System.Diagnostics;
using System.Globalization;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using KvGeometry = Krewe.Abstractions.KvGeometry;

namespace Krewe.Workers.Benching.Gpu;

/// <summary>
/// KV blocks out of another process's GPU memory, by each kind of handle; where a second GPU is there, also from it,
/// and from both together. Every row says whether all came whole.
/// </summary>
/// <param name="options">The GPU of the check is the first of its devices.</param>
/// <param name="startHolder">Starts a process that runs <see cref="GpuHolder"/> with so many bytes; null: none can be.
/// </param>
internal sealed class GpuHandoffs(
    GpuBench gpu, GpuSizes sizes, CudaOptions options, TimeProvider time,
    Func<CudaOptions, long, Process>? startHolder)
{
    /// <summary>Blocks of one piece of a handoff.</summary>
    private const int PieceBlocks = 16;

    private static readonly TimeSpan HolderPatience = TimeSpan.FromSeconds(60);

    public IEnumerable<GpuRow> Run()
    {
        if (startHolder is null)
        {
            yield return new GpuRow(
                "handoff from another process", null, "not measured: no second process can be started");
            yield break;
        }

        var own = gpu.Device.Info.Ordinal;
        var geometry = new KvGeometry(
            sizes.Judged ? 32 : 1, 8, gpu.Kernels.Options.HeadDim, 16, gpu.Kernels.Options.KvFormat);
        Debug.Assert(geometry.PlaneBytes == GpuHolder.PlaneBytes, "The holder fills planes of this size.");
        using var arena = new CudaKvArena(gpu.Device, gpu.Kernels, geometry, sizes.CopyBytes);
        foreach (var memory in new[] { CudaKvMemory.Plain, CudaKvMemory.Virtual })
        {
            var way = memory == CudaKvMemory.Plain ? "CUDA IPC" : "file descriptor";
            yield return Measure($"handoff from another process, {way}", arena, memory, [own]);
            if (gpu.Device.Driver.Devices().FirstOrDefault(device => device.Ordinal != own) is not { } other) continue;
            yield return Measure($"handoff from GPU {other.Ordinal}, {way}", arena, memory, [other.Ordinal]);
            yield return Measure(
                $"handoff from GPU {own} and {other.Ordinal}, {way}", arena, memory, [own, other.Ordinal]);
        }
    }

    private GpuRow Measure(string name, CudaKvArena arena, CudaKvMemory memory, int[] devices)
    {
        var all = gpu.Device.Driver.Devices();
        var refusal = devices.Select(device => gpu.Device.RefusalOf(all[device].Uuid))
            .FirstOrDefault(why => why is not null);
        if (memory == CudaKvMemory.Virtual && !devices.All(device => all[device].HasVirtualMemory))
            refusal = "a GPU has no virtual memory that other processes can open";
        if (refusal is not null) return new GpuRow(name, null, $"not measured: {refusal}");
        var total = (long)arena.BlockCount * arena.Geometry.BlockBytes;
        using var holder = startHolder!(options with { Devices = devices, KvMemory = memory }, total);
        try
        {
            var line = holder.StandardOutput.ReadLineAsync().WaitAsync(HolderPatience, time).GetAwaiter().GetResult();
            if (line is null)
                return new GpuRow(name, false, $"the other process failed: {holder.StandardError.ReadToEnd().Trim()}");
            using var memories = new PeerMemories(time, arena);
            using var hold = memories.TryHold(
                SharedOffer.Parser.ParseFrom(Convert.FromBase64String(line)), out var reason);
            if (hold is null) return new GpuRow(name, false, $"the memory cannot be opened: {reason}");
            Scrub(arena);
            var seconds = GpuCopies.Best(() => Pull(arena, hold.Device!), sizes.Repeats, time);
            return new GpuRow(
                name, ArrivedWhole(arena), string.Create(
                    CultureInfo.InvariantCulture,
                    $"{GpuCopies.Speed(arena, seconds)}, in pieces of {PieceBlocks} blocks"));
        }
        catch (TimeoutException)
        {
            return new GpuRow(name, false, $"the other process said nothing in {HolderPatience.TotalSeconds} s");
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

    private static int[] Looked(CudaKvArena arena) => [0, arena.BlockCount / 2, arena.BlockCount - 1];

    /// <summary>What the row before brought must not pass for this one's.</summary>
    private static void Scrub(CudaKvArena arena)
    {
        foreach (var block in Looked(arena)) arena.CopyIn(new BlockId(block), new byte[arena.Geometry.BlockBytes]);
    }

    private static bool ArrivedWhole(CudaKvArena arena)
    {
        var bytes = new byte[arena.Geometry.BlockBytes];
        foreach (var block in Looked(arena))
        {
            arena.CopyOut(new BlockId(block), bytes);
            if (!GpuHolder.Holds(bytes, (long)block * bytes.Length)) return false;
        }

        return true;
    }
}
