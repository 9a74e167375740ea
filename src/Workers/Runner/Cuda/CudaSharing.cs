using Krewe.Abstractions.Wire;
using Krewe.Kernels.Cuda;
using Microsoft.Win32.SafeHandles;
using KvGeometry = Krewe.Abstractions.KvGeometry;

namespace Krewe.Workers;

/// <summary>
/// KV memory of a worker's GPUs between processes of a host: what is offered, and what peers offer as it is opened. The
/// two may have different numbers of GPUs: heads are divided anew by the copy.
/// </summary>
internal sealed class CudaSharing(IReadOnlyList<CudaKvArena> ranks, KvGeometry whole) : IDisposable
{
    private readonly List<DevicePart> _offered = [];
    private readonly List<SafeFileHandle> _files = [];

    public SharedMemory? Shared { get; private set; }

    public IReadOnlyList<DevicePart> Offered => _offered;

    public IReadOnlyList<SafeFileHandle> Files => _files;

    /// <summary>Makes it possible for others to open the memory; the reason when it is not.</summary>
    public string? Share()
    {
        for (var rank = 0; rank < ranks.Count; rank++)
        {
            try
            {
                var (part, file) = ranks[rank].Export();
                _offered.Add(part);
                if (file is not null) _files.Add(file);
            }
            catch (CudaException error)
            {
                Dispose();
                return ranks.Count == 1 ? error.Message : $"rank {rank}: {error.Message}";
            }
        }

        Shared = SharedMemory.TryCreate(0);
        if (Shared is not null) return null;
        Dispose();
        return "this system shares no memory between processes";
    }

    /// <summary>Opens for each rank what it has to read; null with the reason of each rank that cannot.</summary>
    /// <param name="files">One for each part that has no handle, in their order.</param>
    public IPeerDevice? TryOpen(SharedOffer offer, ReadOnlySpan<SafeFileHandle> files, out string reason)
    {
        reason = "";
        var parts = offer.Devices;
        if (parts.Count == 0 || whole.KvHeads % parts.Count != 0)
            reason = $"{parts.Count} GPUs cannot have {whole.KvHeads} KV heads";
        if (parts.Count(part => part.IpcHandle.IsEmpty) != files.Length)
            reason = $"{files.Length} descriptors came for {parts.Count} GPUs' memory";
        if (reason.Length > 0) return null;
        var filesOf = new SafeFileHandle?[parts.Count];
        var next = 0;
        for (var part = 0; part < parts.Count; part++)
            filesOf[part] = parts[part].IpcHandle.IsEmpty ? files[next++] : null;

        var open = new ImportedMemory?[ranks.Count, parts.Count];
        var refusals = new List<string>();
        for (var rank = 0; rank < ranks.Count; rank++)
        {
            for (var part = 0; part < parts.Count; part++)
            {
                if (!Shares(rank, part, parts.Count)) continue;
                try
                {
                    open[rank, part] = ranks[rank].Import(parts[part], filesOf[part]);
                }
                catch (CudaException error)
                {
                    refusals.Add(ranks.Count * parts.Count == 1
                        ? error.Message
                        : $"rank {rank} cannot open the memory of rank {part}: {error.Message}");
                }
            }
        }

        var peer = new CudaPeerMemory(ranks, whole, [.. parts.Select(part => (long)part.Bytes)], open);
        if (refusals.Count == 0) return peer;
        peer.Dispose();
        reason = string.Join(" ", refusals);
        return null;
    }

    public void Dispose()
    {
        Shared?.Dispose();
        Shared = null;
        foreach (var file in _files) file.Dispose();
        _files.Clear();
        _offered.Clear();
    }

    /// <summary>Whether our rank has any of the heads that the peer's has, of so many.</summary>
    private bool Shares(int rank, int part, int parts) =>
        rank * parts < (part + 1) * ranks.Count && part * ranks.Count < (rank + 1) * parts;
}
