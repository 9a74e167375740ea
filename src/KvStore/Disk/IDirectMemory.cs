namespace Krewe.KvStore.Disk;

/// <summary>Room for one block in memory that is not the host's and that files are read into past the host: a GPU's.
/// </summary>
public interface IDirectMemory
{
    /// <summary>Reads a block's layers, which lie one after the other, and gives the CRC-32C of each as it arrived.
    /// Blocks until they are there.</summary>
    /// <exception cref="IOException">It cannot be read this way. That says nothing of the file.</exception>
    void Read(string path, long offset, Span<uint> checksums);
}
