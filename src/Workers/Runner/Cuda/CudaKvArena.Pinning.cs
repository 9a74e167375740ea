using Krewe.Kernels.Cuda;

namespace Krewe.Workers;

/// <summary>
/// Copies from and to host memory that is pinned (the host tier's): each slice is one transfer, without staging and
/// without a kernel, on the arena's own stream.
/// </summary>
internal sealed unsafe partial class CudaKvArena : IPinningArena
{
    private readonly List<RegisteredMemory> _registered = [];

    public IDisposable? TryPin(nint address, long bytes, out string reason)
    {
        reason = "";
        try
        {
            var memory = _device.Register(address, bytes);
            lock (_gate) _registered.Add(memory);
            return new Pin(this, memory);
        }
        catch (CudaException error)
        {
            reason = error.Message;
            return null;
        }
    }

    private bool IsPinned(byte* first, int bytes)
    {
        foreach (var memory in _registered)
        {
            if ((nint)first >= memory.Address && (nint)first + bytes <= memory.Address + memory.Bytes) return true;
        }

        return false;
    }

    private void CopyOutStraight(ReadOnlySpan<BlockSlice> slices, byte* target)
    {
        foreach (var slice in slices)
        {
            _stream.CopyToHost(target, PlaceOf(slice), slice.Length);
            target += slice.Length;
        }

        _stream.Synchronize("KV copy out");
    }

    private void CopyInStraight(ReadOnlySpan<BlockSlice> slices, byte* source)
    {
        foreach (var slice in slices)
        {
            _stream.CopyToDevice(PlaceOf(slice), source, slice.Length);
            source += slice.Length;
        }

        _stream.Synchronize("KV copy in");
    }

    private nint PlaceOf(in BlockSlice slice) =>
        _memory.At(((long)slice.Block.Value * Geometry.BlockBytes) + slice.Start, slice.Length);

    private sealed class Pin(CudaKvArena arena, RegisteredMemory memory) : IDisposable
    {
        public void Dispose()
        {
            lock (arena._gate)
            {
                arena._registered.Remove(memory);
                memory.Dispose();
            }
        }
    }
}
