using Krewe.Abstractions;

namespace Krewe.Workers.Tests;

/// <summary>
/// A KV arena in managed memory; <paramref name="hostMemory"/> false plays a device whose bytes must be copied.
/// </summary>
internal sealed class FakeArena(int blocks, bool hostMemory = true) : IKvArena
{
    private readonly byte[] _bytes = new byte[blocks * FakeRunner.Geometry.BlockBytes];

    public KvGeometry Geometry => FakeRunner.Geometry;

    public int BlockCount => blocks;

    public Memory<byte> this[int block] =>
        _bytes.AsMemory(block * Geometry.BlockBytes, Geometry.BlockBytes);

    public bool TryGetMemory(BlockId block, out Memory<byte> bytes)
    {
        bytes = hostMemory ? this[block.Value] : default;
        return hostMemory;
    }

    public void CopyOut(BlockId block, Span<byte> destination) => this[block.Value].Span.CopyTo(destination);

    public void CopyIn(BlockId block, ReadOnlySpan<byte> source) => source.CopyTo(this[block.Value].Span);

    public void Dispose()
    {
    }
}
