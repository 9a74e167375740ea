using Krewe.KvStore.Devices;
using Krewe.KvStore.Memory;

namespace Krewe.KvStore.Tests.Fakes;

/// <summary>One I/O on its way through a <see cref="FaultyBlockDevice"/>.</summary>
internal sealed record FaultyIo(bool IsWrite, string Path, long Offset, int Length);

/// <summary>
/// A device that does to each I/O what the test says: fail it, hold it up, tear a write, flip a bit, answer from
/// somewhere else. What no hook touches goes through unharmed.
/// </summary>
internal sealed class FaultyBlockDevice(IBlockDevice inner) : IBlockDevice
{
    /// <summary>Called before each I/O; what it throws or awaits, the store meets.</summary>
    public Func<FaultyIo, ValueTask> Before { get; set; } = _ => ValueTask.CompletedTask;

    /// <summary>Where a read is answered from instead; the lying disk.</summary>
    public Func<FaultyIo, long> Redirect { get; set; } = io => io.Offset;

    /// <summary>What a read may do to the bytes before the store sees them.</summary>
    public Action<FaultyIo, Memory<byte>> AfterRead { get; set; } = (_, _) => { };

    /// <summary>How many bytes of a write reach the disk; all the same it reports success.</summary>
    public Func<FaultyIo, int> Persisted { get; set; } = io => io.Length;

    public string Description => $"faulty {inner.Description}";

    public int QueueDepth => inner.QueueDepth;

    public async ValueTask<ISegmentFile> OpenSegmentAsync(
        string path, long lengthBytes, CancellationToken cancellationToken) =>
        new FaultySegment(this, await inner.OpenSegmentAsync(path, lengthBytes, cancellationToken));

    public void DeleteSegment(string path) => inner.DeleteSegment(path);

    public ValueTask<bool> RegisterMemoryAsync(NativeBuffer memory) => inner.RegisterMemoryAsync(memory);

    public ValueTask DisposeAsync() => inner.DisposeAsync();

    private sealed class FaultySegment(FaultyBlockDevice device, ISegmentFile file) : ISegmentFile
    {
        public string Path => file.Path;

        public async ValueTask ReadAsync(long offset, Memory<byte> buffer)
        {
            var io = new FaultyIo(false, Path, offset, buffer.Length);
            await device.Before(io);
            await file.ReadAsync(device.Redirect(io), buffer);
            device.AfterRead(io, buffer);
        }

        public async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer)
        {
            var io = new FaultyIo(true, Path, offset, buffer.Length);
            await device.Before(io);
            await file.WriteAsync(offset, buffer[..device.Persisted(io)]);
        }

        public ValueTask FlushAsync() => file.FlushAsync();

        public ValueTask DisposeAsync() => file.DisposeAsync();
    }
}
