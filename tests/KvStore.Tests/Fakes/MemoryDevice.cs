using System.Collections.Concurrent;
using Krewe.KvStore.Devices;
using Krewe.KvStore.Memory;

namespace Krewe.KvStore.Tests.Fakes;

/// <summary>A disk in memory. Its files outlive the device, as a disk outlives the process.</summary>
internal sealed class MemoryDevice(ConcurrentDictionary<string, byte[]> files) : IBlockDevice
{
    public string Description => "memory";

    public int QueueDepth => 64;

    public ValueTask<ISegmentFile> OpenSegmentAsync(string path, long lengthBytes, CancellationToken cancellationToken)
    {
        var bytes = files.AddOrUpdate(path, _ => new byte[lengthBytes], (_, old) => Grow(old, lengthBytes));
        return ValueTask.FromResult<ISegmentFile>(new MemorySegment(path, bytes));
    }

    public void DeleteSegment(string path) => files.TryRemove(path, out _);

    public ValueTask<bool> RegisterMemoryAsync(NativeBuffer memory) => ValueTask.FromResult(false);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static byte[] Grow(byte[] old, long lengthBytes)
    {
        if (old.Length < lengthBytes) Array.Resize(ref old, (int)lengthBytes);
        return old;
    }

    private sealed class MemorySegment(string path, byte[] bytes) : ISegmentFile
    {
        public string Path { get; } = path;

        public ValueTask ReadAsync(long offset, Memory<byte> buffer)
        {
            bytes.AsSpan((int)offset, buffer.Length).CopyTo(buffer.Span);
            return ValueTask.CompletedTask;
        }

        public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer)
        {
            buffer.Span.CopyTo(bytes.AsSpan((int)offset));
            return ValueTask.CompletedTask;
        }

        public ValueTask FlushAsync() => ValueTask.CompletedTask;

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
