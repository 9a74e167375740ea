using Krewe.Abstractions;
using Krewe.KvStore.Disk;

namespace Krewe.KvStore;

/// <summary>
/// Where restored layers of a block go: <c>count * LayerBytes</c> of memory, best page-aligned native.
/// </summary>
/// <param name="block">Position in the list of sources.</param>
/// <param name="firstLayer">Layer, from 0.</param>
/// <param name="count">Neighbouring layers.</param>
public delegate Memory<byte> LayerDestination(int block, int firstLayer, int count);

/// <summary>
/// Brings many blocks up layer by layer: layer i of all blocks before layer i+1 of any, a few reads ahead of the one
/// that computation waits for. So prefill starts when the first layer is there, and the rest hides behind it.
/// </summary>
public sealed class LayerRestore : IAsyncDisposable
{
    /// <summary>Reads that end together: many, but not so many that their checking holds the next ones up.</summary>
    private const int BatchMax = 32;

    /// <summary>Smaller reads cost the device more than they bring.</summary>
    private const int ReadBytesMin = 128 << 10;

    private readonly IReadOnlyList<IBlockSource> _sources;
    private readonly LayerDestination _destination;
    private readonly int _layers;
    private readonly int _layersPerRead;
    private readonly int _readsAhead;
    private readonly Task<ReadResult>?[] _rounds;
    private readonly Lock _gate = new();
    private int _issued;
    private int _good;
    private int _reads;

    private LayerRestore(
        IReadOnlyList<IBlockSource> sources, int layers, LayerDestination destination, int layersPerRead,
        int readsAhead)
    {
        (_sources, _destination, _layers) = (sources, destination, layers);
        (_layersPerRead, _readsAhead) = (layersPerRead, readsAhead);
        _rounds = new Task<ReadResult>?[(layers + layersPerRead - 1) / layersPerRead];
        _good = sources.Count;
    }

    /// <summary>Blocks that are restored.</summary>
    public int Blocks => _sources.Count;

    /// <summary>Leading blocks of which no read has failed so far.</summary>
    public int GoodBlocks => Volatile.Read(ref _good);

    /// <summary>Reads that were issued so far.</summary>
    public int Reads => Volatile.Read(ref _reads);

    /// <summary>
    /// Neighbouring layers that a worker reads at once: halves at least, where there are two layers, since the second
    /// half hides behind the first's use.
    /// </summary>
    public static int LayersPerRead(KvGeometry geometry) => Math.Clamp(
        (ReadBytesMin + geometry.LayerBytes - 1) / geometry.LayerBytes, 1, Math.Max(1, (geometry.Layers + 1) / 2));

    /// <summary>Begins to read the first layers. Owns the sources from now on.</summary>
    /// <param name="layersPerRead">Neighbouring layers of one I/O: more where layers are small.</param>
    /// <param name="readsAhead">Reads of each block under way at once, at least 1.</param>
    public static LayerRestore Start(
        IReadOnlyList<IBlockSource> sources, int layers, LayerDestination destination, int layersPerRead = 1,
        int readsAhead = 2)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(layersPerRead, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(readsAhead, 1);
        var restore = new LayerRestore(sources, layers, destination, layersPerRead, readsAhead);
        restore.IssueUpTo(readsAhead);
        return restore;
    }

    /// <summary>Returns when the layer of every block is in its destination, or with the first failure.</summary>
    /// <remarks>One caller at a time, layers in order; each call sends the reads of later layers on their
    /// way.</remarks>
    public Task<ReadResult> WaitForLayerAsync(int layer)
    {
        var round = layer / _layersPerRead;
        IssueUpTo(round + 1 + _readsAhead);
        return _rounds[round]!;
    }

    /// <summary>Waits for the reads under way and ends the holds.</summary>
    public async ValueTask DisposeAsync()
    {
        try
        {
            await Task.WhenAll(_rounds.OfType<Task>());
        }
        finally
        {
            foreach (var source in _sources) source.Dispose();
        }
    }

    private void IssueUpTo(int rounds)
    {
        for (; _issued < Math.Min(rounds, _rounds.Length); _issued++) _rounds[_issued] = ReadRoundAsync(_issued);
    }

    private async Task<ReadResult> ReadRoundAsync(int round)
    {
        var first = round * _layersPerRead;
        var count = Math.Min(_layersPerRead, _layers - first);
        // Behind a block that failed nothing is of use.
        var (good, reads) = (GoodBlocks, new List<Task<ReadResult[]>>());
        Interlocked.Add(ref _reads, good);
        for (var block = 0; block < good;)
        {
            var end = EndOfBatch(block, good);
            reads.Add(ReadBatchAsync(block, end, first, count));
            block = end;
        }

        var results = (await Task.WhenAll(reads)).SelectMany(batch => batch).ToArray();
        var bad = Array.FindIndex(results, result => !result.IsHit);
        if (bad < 0) return new ReadResult(ReadOutcome.Hit);
        lock (_gate) _good = Math.Min(_good, bad);
        return results[bad];
    }

    /// <summary>Neighbours in one store on disk are read together; any other block by itself.</summary>
    private int EndOfBatch(int block, int limit)
    {
        var end = block + 1;
        if (_sources[block] is not ObjectReader first) return end;
        limit = Math.Min(limit, block + BatchMax);
        while (end < limit && _sources[end] is ObjectReader next && next.Store == first.Store) end++;
        return end;
    }

    private async Task<ReadResult[]> ReadBatchAsync(int block, int end, int first, int count)
    {
        if (end == block + 1) return [await _sources[block].ReadAsync(first, count, _destination(block, first, count))];
        var readers = new ObjectReader[end - block];
        var destinations = new Memory<byte>[readers.Length];
        for (var i = 0; i < readers.Length; i++)
        {
            readers[i] = (ObjectReader)_sources[block + i];
            destinations[i] = _destination(block + i, first, count);
        }

        return await readers[0].Store.ReadLayersAsync(readers, first, destinations);
    }
}
