using Krewe.KvStore.Devices;

namespace Krewe.KvStore.Disk;

/// <summary>
/// Keeps a second process out of the store's directories. The lock is the kernel's, on an open file: it ends with the
/// process, however that ends.
/// </summary>
internal sealed class DirectoryLock : IDisposable
{
    private readonly List<FileStream> _files = [];

    /// <exception cref="KvStoreException">A directory cannot be made, or another process holds it.</exception>
    public DirectoryLock(IEnumerable<string> directories)
    {
        foreach (var directory in directories)
        {
            var path = Path.Combine(directory, "store.lock");
            try
            {
                Directory.CreateDirectory(directory);
                // Without a buffer, which on a full disk would fail a second time when it is closed.
                _files.Add(new FileStream(
                    path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 0));
                _files[^1].WriteByte(0); // the file's time tells when the store was last opened
            }
            catch (UnauthorizedAccessException error)
            {
                Dispose();
                throw new KvStoreException(
                    KvStoreError.InvalidOptions,
                    $"The KV store may not write to '{directory}'. Give this user the right or name another.",
                    directory,
                    innerException: error);
            }
            catch (IOException error) when (IsHeld(error))
            {
                Dispose();
                throw new KvStoreException(
                    KvStoreError.DirectoryInUse,
                    $"The KV store in '{directory}' cannot be locked ({error.Message}). Another worker has it open: "
                    + "give each worker its own directory.",
                    directory,
                    innerException: error);
            }
            catch (IOException error)
            {
                Dispose();
                var fault = BlockIoErrors.FromErrno(error.HResult, $"'{directory}' cannot be opened");
                throw new KvStoreException(
                    fault.Fault == BlockIoFault.DiskFull ? KvStoreError.DiskFull : KvStoreError.InvalidOptions,
                    $"The KV store in '{directory}' cannot be opened: {error.Message} Name a directory that can be "
                    + "written to.",
                    directory,
                    innerException: error);
            }
        }
    }

    /// <summary>By its lock: EAGAIN of Linux and of others, and the sharing violation of Windows.</summary>
    private static bool IsHeld(IOException error) => error.HResult is 11 or 35 or unchecked((int)0x80070020);

    public void Dispose()
    {
        foreach (var file in _files) file.Dispose();
    }
}
