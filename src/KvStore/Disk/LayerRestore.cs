namespace Krewe.KvStore.Disk;

/// <summary>Where a restored layer of a block goes: <c>LayerBytes</c> of memory, best page-aligned native.</summary>
/// <param name="block">Position in the list of keys.</param>
/// <param name="layer">Layer, from 0.</param>
public delegate Memory<byte> LayerDestination(int block, int layer);

/// <summary>
/// Brings many blocks up layer by layer: layer i of all blocks before layer i+1 of any, a few layers ahead of the one
/// that computation waits for. So prefill starts when the first layer is there, and the rest hides behind it.
/// </summary>
public sealed class LayerRestore : IAsyncDisposable
{
    private readonly List<ObjectReader> _readers;
    private readonly LayerDestination _destination;
    private readonly int _layersAhead;
    private readonly Task<ReadResult>?[] _layers;
    private int _issued;

    private LayerRestore(List<ObjectReader> readers, LayerDestination destination, int layers, int layersAhead)
    {
        _readers = readers;
        _destination = destination;
        _layersAhead = layersAhead;
        _layers = new Task<ReadResult>?[layers];
    }

    /// <summary>Blocks that are restored: the leading keys up to the first that the store lacks.</summary>
    public int Blocks => _readers.Count;

    /// <summary>Holds the leading keys that are present and begins to read their first layers.</summary>
    /// <param name="layersAhead">Layers under way at once, at least 1.</param>
    public static LayerRestore Start(
        SsdObjectStore store, IEnumerable<BlockKey> keys, LayerDestination destination, int layersAhead = 2)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(layersAhead, 1);
        var readers = new List<ObjectReader>();
        foreach (var key in keys)
        {
            if (store.TryOpenObject(key) is not { } reader) break;
            readers.Add(reader);
        }

        var restore = new LayerRestore(readers, destination, store.Geometry.Layers, layersAhead);
        restore.IssueUpTo(layersAhead);
        return restore;
    }

    /// <summary>Returns when the layer of every block is in its destination, or with the first failure.</summary>
    /// <remarks>One caller at a time, layers in order; each call sends the reads of later layers on their
    /// way.</remarks>
    public Task<ReadResult> WaitForLayerAsync(int layer)
    {
        IssueUpTo(Math.Min(layer + 1 + _layersAhead, _layers.Length));
        return _layers[layer]!;
    }

    /// <summary>Waits for the reads under way and ends the holds.</summary>
    public async ValueTask DisposeAsync()
    {
        try
        {
            await Task.WhenAll(_layers.OfType<Task>());
        }
        finally
        {
            foreach (var reader in _readers) reader.Dispose();
        }
    }

    private void IssueUpTo(int layers)
    {
        for (; _issued < Math.Min(layers, _layers.Length); _issued++) _layers[_issued] = ReadLayerAsync(_issued);
    }

    private async Task<ReadResult> ReadLayerAsync(int layer)
    {
        var reads = new Task<ReadResult>[_readers.Count];
        for (var block = 0; block < reads.Length; block++)
            reads[block] = _readers[block].ReadLayerAsync(layer, _destination(block, layer)).AsTask();
        var results = await Task.WhenAll(reads);
        return results.FirstOrDefault(result => !result.IsHit, new ReadResult(ReadOutcome.Hit));
    }
}
