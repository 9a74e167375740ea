using Microsoft.Win32.SafeHandles;

namespace Krewe.KvStore.Devices.Uring;

/// <summary>A segment file whose I/O goes through the ring.</summary>
/// <param name="fixedIndex">Place in the kernel's table of registered files; null when the table is full.</param>
internal sealed class UringSegment(UringDevice device, string path, SafeFileHandle handle, int? fixedIndex)
    : ISegmentFile
{
    public string Path { get; } = path;

    public int? FixedIndex { get; } = fixedIndex;

    public int Descriptor => (int)handle.DangerousGetHandle();

    public ValueTask ReadAsync(long offset, Memory<byte> buffer) =>
        device.Submit(UringAbi.OpRead, this, offset, buffer);

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer) =>
        device.Submit(UringAbi.OpWrite, this, offset, buffer);

    public ValueTask FlushAsync() => device.Submit(UringAbi.OpFsync, this, 0, ReadOnlyMemory<byte>.Empty);

    public async ValueTask DisposeAsync()
    {
        if (FixedIndex is { } index) await device.UnregisterFileAsync(index);
        handle.Dispose();
    }
}
