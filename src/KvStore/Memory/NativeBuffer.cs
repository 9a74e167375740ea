using System.Buffers;
using System.Runtime.InteropServices;

namespace Krewe.KvStore.Memory;

/// <summary>
/// Page-aligned native memory. Direct I/O needs the alignment, and memory outside the managed heap costs no pin.
/// Whoever created it frees it, after the last I/O on it has ended.
/// </summary>
public sealed unsafe class NativeBuffer : MemoryManager<byte>
{
    private readonly int _lengthBytes;
    private void* _address;

    /// <summary>Allocates <paramref name="lengthBytes"/> bytes of undefined content.</summary>
    public NativeBuffer(int lengthBytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(lengthBytes);
        _lengthBytes = lengthBytes;
        _address = NativeMemory.AlignedAlloc((nuint)lengthBytes, Page.Bytes);
    }

    /// <summary>First byte; page-aligned.</summary>
    public nint Address
    {
        get
        {
            ObjectDisposedException.ThrowIf(_address is null, this);
            return (nint)_address;
        }
    }

    public int LengthBytes => _lengthBytes;

    public override Span<byte> GetSpan()
    {
        ObjectDisposedException.ThrowIf(_address is null, this);
        return new Span<byte>(_address, _lengthBytes);
    }

    public override MemoryHandle Pin(int elementIndex = 0)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)elementIndex, (uint)_lengthBytes, nameof(elementIndex));
        return new MemoryHandle((byte*)Address + elementIndex);
    }

    /// <summary>Does nothing: native memory does not move.</summary>
    public override void Unpin()
    {
    }

    protected override void Dispose(bool disposing)
    {
        NativeMemory.AlignedFree(_address);
        _address = null;
    }
}
