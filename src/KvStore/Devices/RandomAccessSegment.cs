using Microsoft.Win32.SafeHandles;

namespace Krewe.KvStore.Devices;

/// <summary>A segment file on .NET's RandomAccess.</summary>
internal sealed class RandomAccessSegment(string path, SafeFileHandle handle, SemaphoreSlim depth) : ISegmentFile
{
    public string Path { get; } = path;

    public async ValueTask ReadAsync(long offset, Memory<byte> buffer)
    {
        await depth.WaitAsync();
        try
        {
            var done = 0;
            while (done < buffer.Length)
            {
                var got = await RandomAccess.ReadAsync(handle, buffer[done..], offset + done);
                if (got == 0) throw BlockIoErrors.Truncated(Path, offset, buffer.Length, done);
                done += got;
            }
        }
        catch (IOException error) when (error is not BlockIoException)
        {
            throw BlockIoErrors.FromErrno(error.HResult, $"'{Path}' cannot be read at offset {offset:N0}");
        }
        finally
        {
            depth.Release();
        }
    }

    public async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer)
    {
        await depth.WaitAsync();
        try
        {
            await RandomAccess.WriteAsync(handle, buffer, offset);
        }
        catch (IOException error)
        {
            throw BlockIoErrors.FromErrno(error.HResult, $"'{Path}' cannot be written at offset {offset:N0}");
        }
        finally
        {
            depth.Release();
        }
    }

    public ValueTask FlushAsync() => new(Task.Run(() => RandomAccess.FlushToDisk(handle)));

    public ValueTask DisposeAsync()
    {
        handle.Dispose();
        return ValueTask.CompletedTask;
    }
}
