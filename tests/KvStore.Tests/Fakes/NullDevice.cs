using Krewe.KvStore.Devices;
using Krewe.KvStore.Memory;

namespace Krewe.KvStore.Tests.Fakes;

/// <summary>Stores nothing: reads are answered by a function of the offset, so that huge stores cost no disk.</summary>
internal sealed class NullDevice(Action<string, long, Memory<byte>> answer) : IBlockDevice
{
    public string Description => "null";

    public int QueueDepth => 64;

    public ValueTask<ISegmentFile> OpenSegmentAsync(
        string path, long lengthBytes, CancellationToken cancellationToken) =>
        ValueTask.FromResult<ISegmentFile>(new NullSegment(path, answer));

    public void DeleteSegment(string path) => throw new NotSupportedException("A null device has no files.");

    public ValueTask<bool> RegisterMemoryAsync(NativeBuffer memory) => ValueTask.FromResult(false);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private sealed class NullSegment(string path, Action<string, long, Memory<byte>> answer) : ISegmentFile
    {
        public string Path { get; } = path;

        public ValueTask ReadAsync(long offset, Memory<byte> buffer)
        {
            answer(Path, offset, buffer);
            return ValueTask.CompletedTask;
        }

        public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer) => ValueTask.CompletedTask;

        public ValueTask FlushAsync() => ValueTask.CompletedTask;

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
