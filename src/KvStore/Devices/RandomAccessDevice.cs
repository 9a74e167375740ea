using Krewe.KvStore.Memory;
using Microsoft.Win32.SafeHandles;

namespace Krewe.KvStore.Devices;

/// <summary>
/// The path for kernels without io_uring: .NET's positioned reads and writes, past the page cache where the file system
/// allows it. Each I/O holds a pool thread while it lasts; <see cref="QueueDepth"/> bounds how many.
/// </summary>
internal sealed class RandomAccessDevice(int queueDepth, string description) : IBlockDevice
{
    private readonly SemaphoreSlim _depth = new(queueDepth);

    public string Description { get; } = $"{description}; up to {queueDepth} I/Os at once";

    public int QueueDepth { get; } = queueDepth;

    public ValueTask<ISegmentFile> OpenSegmentAsync(
        string path, long lengthBytes, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return ValueTask.FromResult<ISegmentFile>(new RandomAccessSegment(path, Open(path, lengthBytes), _depth));
    }

    public void DeleteSegment(string path) => File.Delete(path);

    public ValueTask<bool> RegisterMemoryAsync(NativeBuffer memory) => ValueTask.FromResult(false);

    public ValueTask DisposeAsync()
    {
        _depth.Dispose();
        return ValueTask.CompletedTask;
    }

    private static SafeFileHandle Open(string path, long lengthBytes)
    {
        if (OperatingSystem.IsLinux())
        {
            var direct = DirectFile.RefusalIn(Path.GetDirectoryName(path)!) is null;
            return DirectFile.Open(path, lengthBytes, direct);
        }

        try
        {
            var handle = File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read);
            if (RandomAccess.GetLength(handle) < lengthBytes) RandomAccess.SetLength(handle, lengthBytes);
            return handle;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            var fault = error is IOException ? BlockIoFault.Hardware : BlockIoFault.AccessDenied;
            throw new BlockIoException(fault, $"'{path}' cannot be opened: {error.Message}", error);
        }
    }
}
