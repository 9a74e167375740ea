namespace Krewe.KvStore.Disk;

/// <summary>
/// A hold on one stored object: it is neither evicted nor overwritten until the hold ends. After a result other than a
/// hit the object is gone, and further reads of it are rubbish too and say so.
/// </summary>
public sealed class ObjectReader : IBlockSource
{
    private bool _released;

    internal ObjectReader(SsdObjectStore store, BlockKey key, int slot)
    {
        Store = store;
        Slot = slot;
        Key = key;
    }

    public BlockKey Key { get; }

    internal SsdObjectStore Store { get; }

    internal int Slot { get; }

    /// <summary>Reads K and V of one layer, <c>LayerBytes</c> long, and verifies them.</summary>
    public ValueTask<ReadResult> ReadLayerAsync(
        int layer, Memory<byte> destination, CancellationToken cancellationToken = default) =>
        ReadAsync(layer, 1, destination, cancellationToken);

    /// <summary>Reads <paramref name="count"/> neighbouring layers in one I/O and verifies them.</summary>
    /// <param name="cancellationToken">Heeded until the I/O begins.</param>
    public ValueTask<ReadResult> ReadAsync(
        int firstLayer, int count, Memory<byte> destination, CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(_released, this);
        var geometry = Store.Geometry;
        ArgumentOutOfRangeException.ThrowIfNegative(firstLayer);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(firstLayer + count, geometry.Layers, nameof(count));
        if (destination.Length != count * geometry.LayerBytes)
        {
            throw new ArgumentException(
                $"{destination.Length:N0} bytes were given; {count} layers take {count * geometry.LayerBytes:N0}.",
                nameof(destination));
        }

        return Store.ReadLayersAsync(Key, Slot, firstLayer, destination, cancellationToken);
    }

    /// <summary>Reads the whole block past the host and verifies it.</summary>
    /// <exception cref="IOException">It cannot be read this way; another may do.</exception>
    public ValueTask<ReadResult> ReadAsync(IDirectMemory destination)
    {
        ObjectDisposedException.ThrowIf(_released, this);
        ArgumentNullException.ThrowIfNull(destination);
        return Store.ReadDirectAsync(Key, Slot, destination);
    }

    /// <summary>Ends the hold. No read may be under way.</summary>
    public void Dispose()
    {
        if (_released) return;
        _released = true;
        Store.Release(Slot);
    }
}
