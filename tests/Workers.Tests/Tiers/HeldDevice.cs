using Krewe.KvStore.Devices;
using Krewe.KvStore.Memory;

namespace Krewe.Workers.Tests;

/// <summary>A real device whose reads, or writes, stay where they are until they are let go.</summary>
internal sealed class HeldDevice(IBlockDevice inner) : IBlockDevice
{
    private volatile TaskCompletionSource _reads = Open();
    private volatile TaskCompletionSource _writes = Open();

    public string Description => inner.Description;

    public int QueueDepth => inner.QueueDepth;

    public void HoldReads() => _reads = Closed();

    public void HoldWrites() => _writes = Closed();

    public void LetGo()
    {
        _reads.TrySetResult();
        _writes.TrySetResult();
    }

    public async ValueTask<ISegmentFile> OpenSegmentAsync(
        string path, long lengthBytes, CancellationToken cancellationToken) =>
        new HeldSegment(this, await inner.OpenSegmentAsync(path, lengthBytes, cancellationToken));

    public void DeleteSegment(string path) => inner.DeleteSegment(path);

    public ValueTask<bool> RegisterMemoryAsync(NativeBuffer memory) => inner.RegisterMemoryAsync(memory);

    public ValueTask DisposeAsync() => inner.DisposeAsync();

    private static TaskCompletionSource Closed() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static TaskCompletionSource Open()
    {
        var gate = Closed();
        gate.SetResult();
        return gate;
    }

    private sealed class HeldSegment(HeldDevice device, ISegmentFile file) : ISegmentFile
    {
        public string Path => file.Path;

        public async ValueTask ReadAsync(long offset, Memory<byte> buffer)
        {
            await device._reads.Task;
            await file.ReadAsync(offset, buffer);
        }

        public async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer)
        {
            await device._writes.Task;
            await file.WriteAsync(offset, buffer);
        }

        public ValueTask FlushAsync() => file.FlushAsync();

        public ValueTask DisposeAsync() => file.DisposeAsync();
    }
}
