using Krewe.Abstractions;
using static TorchSharp.torch;

namespace Krewe.Workers.Torch;

/// <summary>KV blocks as two tensors a layer, in the layout of every other arena: K [blocks, heads, dims, slots], V
/// [blocks, heads, slots, dims]. A block's bytes are the same as elsewhere.</summary>
internal sealed class TorchKvArena : IKvArena
{
    private readonly Lock _gate = new();
    private readonly Tensor[] _planes;

    /// <summary>As many blocks as fit into <paramref name="memoryBytes"/>.</summary>
    /// <exception cref="KreweException">Not one block fits.</exception>
    public TorchKvArena(KvGeometry geometry, long memoryBytes, Device device)
    {
        Geometry = geometry;
        BlockCount = (int)Math.Min(memoryBytes / geometry.BlockBytes, int.MaxValue);
        if (BlockCount < 1)
        {
            throw new KreweException(
                ErrorCode.InvalidOptions, $"KvMemoryBytes is {memoryBytes}; one KV block takes {geometry.BlockBytes}.");
        }

        Type = geometry.Format switch
        {
            KvFormat.F32 => ScalarType.Float32,
            KvFormat.F16 => ScalarType.Float16,
            _ => ScalarType.BFloat16,
        };
        _planes = new Tensor[2 * geometry.Layers];
        for (var plane = 0; plane < _planes.Length; plane++)
        {
            _planes[plane] = zeros(
                plane % 2 == 0
                    ? [BlockCount, geometry.KvHeads, geometry.HeadDim, geometry.BlockTokens]
                    : [BlockCount, geometry.KvHeads, geometry.BlockTokens, geometry.HeadDim],
                Type, device).DetachFromDisposeScope();
        }
    }

    public KvGeometry Geometry { get; }

    public int BlockCount { get; }

    public ScalarType Type { get; }

    public Tensor Keys(int layer) => _planes[2 * layer];

    public Tensor Values(int layer) => _planes[(2 * layer) + 1];

    public bool TryGetMemory(BlockId block, out Memory<byte> bytes)
    {
        bytes = default;
        return false;
    }

    public void CopyOut(BlockId block, Span<byte> destination) => CopyOut(block, 0, destination);

    public void CopyIn(BlockId block, ReadOnlySpan<byte> source) => CopyIn(block, 0, source);

    public void CopyOut(BlockId block, int start, Span<byte> destination)
    {
        lock (_gate)
        {
            using var scope = NewDisposeScope();
            for (var at = 0; at < destination.Length;)
            {
                var (plane, offset) = Math.DivRem(start + at, Geometry.PlaneBytes);
                var bytes = Math.Min(destination.Length - at, Geometry.PlaneBytes - offset);
                _planes[plane][block.Value].cpu().contiguous().bytes.Slice(offset, bytes).CopyTo(destination[at..]);
                at += bytes;
            }
        }
    }

    public void CopyIn(BlockId block, int start, ReadOnlySpan<byte> source)
    {
        lock (_gate)
        {
            using var scope = NewDisposeScope();
            for (var at = 0; at < source.Length;)
            {
                var (plane, offset) = Math.DivRem(start + at, Geometry.PlaneBytes);
                var bytes = Math.Min(source.Length - at, Geometry.PlaneBytes - offset);
                var place = _planes[plane][block.Value];
                // A copy of its own: on the CPU this would else be the arena itself, which is fine too.
                var changed = place.cpu().contiguous();
                source.Slice(at, bytes).CopyTo(changed.bytes[offset..]);
                place.copy_(changed);
                at += bytes;
            }
        }
    }

    public void Dispose()
    {
        foreach (var plane in _planes) plane.Dispose();
    }
}
