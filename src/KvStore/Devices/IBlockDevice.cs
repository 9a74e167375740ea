using Krewe.KvStore.Memory;

namespace Krewe.KvStore.Devices;

/// <summary>
/// Where segment files live. One device serves one store. The seam for other paths (GPU direct storage) and for fakes
/// that tear, lie, stall and fill up.
/// </summary>
public interface IBlockDevice : IAsyncDisposable
{
    /// <summary>Which path is in use and, where it is not the fastest, why; for the log and the doctor.</summary>
    string Description { get; }

    /// <summary>I/Os that the device works on at once; more wait their turn.</summary>
    int QueueDepth { get; }

    /// <summary>Opens the file, creating it and reserving <paramref name="lengthBytes"/> when it is shorter.</summary>
    /// <exception cref="BlockIoException">The file system refused; the fault says why.</exception>
    ValueTask<ISegmentFile> OpenSegmentAsync(string path, long lengthBytes, CancellationToken cancellationToken);

    /// <summary>Deletes the file; it must not be open.</summary>
    void DeleteSegment(string path);

    /// <summary>Makes I/O on this memory cheaper where the device can. The memory must outlive the device.</summary>
    /// <returns>False when the device has no such thing, or no room for it; I/O works all the same.</returns>
    ValueTask<bool> RegisterMemoryAsync(NativeBuffer memory);

    /// <summary>
    /// Submits all reads at once and returns when the last has ended. One that failed says so in its
    /// <see cref="BlockRead.Error"/>; the others do not suffer from it.
    /// </summary>
    /// <param name="reads">Of segments of this device.</param>
    async ValueTask ReadAllAsync(IReadOnlyList<BlockRead> reads)
    {
        await Task.WhenAll(reads.Select(ReadAsync));

        static async Task ReadAsync(BlockRead read)
        {
            try
            {
                await read.File.ReadAsync(read.Offset, read.Buffer);
            }
            catch (BlockIoException error)
            {
                read.Error = error;
            }
        }
    }
}

/// <summary>One of several reads that are submitted together. Offset, length and address as in
/// <see cref="ISegmentFile"/>.</summary>
public sealed class BlockRead(ISegmentFile file, long offset, Memory<byte> buffer)
{
    public ISegmentFile File { get; } = file;

    public long Offset { get; } = offset;

    /// <summary>Filled whole, unless there is an <see cref="Error"/>.</summary>
    public Memory<byte> Buffer { get; } = buffer;

    /// <summary>Why it failed; null when it did not.</summary>
    public BlockIoException? Error { get; set; }
}

/// <summary>
/// One pre-allocated file. Offsets, lengths and addresses are multiples of 4 KiB. A call that has begun is not
/// cancelled: the kernel owns the memory until it ends.
/// </summary>
public interface ISegmentFile : IAsyncDisposable
{
    string Path { get; }

    /// <summary>Fills the buffer whole.</summary>
    /// <exception cref="BlockIoException">Fewer bytes or none came back.</exception>
    ValueTask ReadAsync(long offset, Memory<byte> buffer);

    /// <summary>Writes the buffer whole. When it returns the bytes survive the death of the process.</summary>
    /// <exception cref="BlockIoException">Fewer bytes or none were taken.</exception>
    ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer);

    /// <summary>Returns when all written bytes survive the loss of power.</summary>
    ValueTask FlushAsync();
}
