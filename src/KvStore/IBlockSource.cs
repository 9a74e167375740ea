namespace Krewe.KvStore;

/// <summary>
/// A hold on one block in some tier, for reading layers of it: its bytes neither move nor change until the hold ends.
/// </summary>
public interface IBlockSource : IDisposable
{
    /// <summary>
    /// Reads and verifies <paramref name="count"/> neighbouring layers. A bad block is an outcome, not an exception.
    /// </summary>
    /// <param name="destination">Exactly <c>count * LayerBytes</c> long; rubbish after any outcome but a hit.</param>
    /// <param name="cancellationToken">Heeded until the I/O begins.</param>
    ValueTask<ReadResult> ReadAsync(
        int firstLayer, int count, Memory<byte> destination, CancellationToken cancellationToken = default);
}
