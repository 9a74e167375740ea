using Krewe.Abstractions;

namespace Krewe.Workers.Tests;

/// <summary>
/// A KV arena in managed memory; <paramref name="hostMemory"/> false plays a device whose bytes must be copied.
/// </summary>
internal sealed class FakeArena(int blocks, bool hostMemory = true, bool shared = false) : ISharedKvArena
{
    private readonly byte[] _bytes = new byte[blocks * FakeRunner.Geometry.BlockBytes];

    private readonly CpuKvArena? _shared = shared
        ? new CpuKvArena(FakeRunner.Geometry, (long)blocks * FakeRunner.Geometry.BlockBytes, shared: true)
        : null;

    public KvGeometry Geometry => FakeRunner.Geometry;

    public int BlockCount => blocks;

    public SharedMemory? Shared => _shared?.Shared;

    public Memory<byte> this[int block] => _shared is not null && _shared.TryGetMemory(new BlockId(block), out var own)
        ? own
        : _bytes.AsMemory(block * Geometry.BlockBytes, Geometry.BlockBytes);

    public bool TryGetMemory(BlockId block, out Memory<byte> bytes)
    {
        bytes = hostMemory ? this[block.Value] : default;
        return hostMemory;
    }

    public void CopyOut(BlockId block, Span<byte> destination) => this[block.Value].Span.CopyTo(destination);

    public void CopyIn(BlockId block, ReadOnlySpan<byte> source) => source.CopyTo(this[block.Value].Span);

    public void CopyOut(BlockId block, int start, Span<byte> destination) =>
        this[block.Value].Span.Slice(start, destination.Length).CopyTo(destination);

    public void CopyIn(BlockId block, int start, ReadOnlySpan<byte> source) =>
        source.CopyTo(this[block.Value].Span[start..]);

    public void Dispose() => _shared?.Dispose();
}
