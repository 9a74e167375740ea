using Krewe.Abstractions;
using Krewe.KvStore;
using Krewe.KvStore.Disk;
using Krewe.KvStore.Host;
using Krewe.KvStore.Memory;

namespace Krewe.Workers;

/// <summary>
/// One sequence's blocks on their way up from lower tiers. Layers arrive in order; the engine either lets the sequence
/// run at once, held up before each layer that is not there yet, or waits for the end. Until <see cref="Completion"/>
/// the blocks are written to and must not be freed.
/// </summary>
internal sealed class SequenceRestore : ILayerGate
{
    /// <summary>
    /// How much later than twice the expected a restore may be before the step goes on without it: the others in the
    /// step wait too, and a disk may stand still for ever.
    /// </summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(10);

    /// <summary>Blocks under way at once past the host; each keeps a thread waiting.</summary>
    private const int DirectReadsMax = 8;

    private readonly IKvArena _arena;
    private readonly BlockId[] _blocks;
    private readonly object _gate = new();
    private readonly TimeProvider _time;
    private readonly long _started;
    private NativeBuffer[] _staging = [];
    private int _layersThere;
    private bool _isLate;

    /// <param name="sources">One for each block; owned from now on.</param>
    /// <param name="firstBlock">Place of the first block in the sequence's table.</param>
    /// <param name="expected">What the rule expected, for the log.</param>
    public SequenceRestore(
        IKvArena arena, IReadOnlyList<IBlockSource> sources, BlockId[] blocks, int firstBlock, TimeSpan expected,
        TimeProvider time)
    {
        (_arena, _blocks, FirstBlock, Expected, _time) = (arena, blocks, firstBlock, expected, time);
        IsInPlace = arena.TryGetMemory(blocks[0], out _);
        // All from host memory: a copy for each run of neighbours, and no staging between.
        var isStraight = sources.All(source => source is HostHold);
        _started = time.GetTimestamp();
        Completion = Task.Run(() => isStraight
            ? RunStraightAsync(sources)
            : DirectMemories(sources) is { } memories ? RunDirectAsync(sources, memories) : RunAsync(sources));
    }

    public int FirstBlock { get; }

    public int Blocks => _blocks.Length;

    public long Bytes => (long)Blocks * _arena.Geometry.BlockBytes;

    public TimeSpan Expected { get; }

    /// <summary>Layers go straight into the arena, so a step may follow them layer by layer.</summary>
    public bool IsInPlace { get; }

    /// <summary>Leading blocks that are whole; final after <see cref="Completion"/>.</summary>
    public int GoodBlocks { get; private set; }

    /// <summary>Copies and reads that it takes; final after <see cref="Completion"/>.</summary>
    public int Copies { get; private set; }

    /// <summary>Ends when no read touches the blocks any more; never faulted by a bad block.</summary>
    public Task Completion { get; }

    /// <summary>Why blocks that could have come past the host did not; null as a rule.</summary>
    public string? DirectFailure { get; private set; }

    /// <summary>From start to end; set when it has ended.</summary>
    public TimeSpan Duration { get; private set; }

    /// <summary>The sequence is over: its blocks go back when the restore has ended.</summary>
    public bool IsAbandoned { get; set; }

    /// <summary>
    /// A step that followed the layers got them all in time. False: what it computed of this sequence is void, and the
    /// sequence has to wait for <see cref="Completion"/>.
    /// </summary>
    public bool WasFollowed
    {
        get
        {
            lock (_gate) return !_isLate && _layersThere == _arena.Geometry.Layers;
        }
    }

    /// <inheritdoc/>
    public void WaitForLayer(int layer)
    {
        if (Volatile.Read(ref _layersThere) > layer) return;
        lock (_gate)
        {
            while (_layersThere <= layer && !_isLate)
            {
                var left = (2 * Expected) + Patience - _time.GetElapsedTime(_started);
                _isLate = left <= TimeSpan.Zero || !Monitor.Wait(_gate, left);
            }
        }
    }

    private async Task RunAsync(IReadOnlyList<IBlockSource> sources)
    {
        var geometry = _arena.Geometry;
        if (!IsInPlace) _staging = [.. _blocks.Select(_ => new NativeBuffer(geometry.BlockBytes))];
        var restore = LayerRestore.Start(sources, geometry.Layers, Destination, LayerRestore.LayersPerRead(geometry));
        try
        {
            await using (restore)
            {
                for (var layer = 0; layer < geometry.Layers; layer++)
                {
                    await restore.WaitForLayerAsync(layer);
                    if (IsInPlace) Announce(layer + 1);
                }
            }

            (GoodBlocks, Copies) = (restore.GoodBlocks, restore.Reads);
            for (var i = 0; i < GoodBlocks && !IsInPlace; i++) _arena.CopyIn(_blocks[i], _staging[i].GetSpan());
        }
        finally
        {
            foreach (var buffer in _staging) ((IDisposable)buffer).Dispose();
            Duration = _time.GetElapsedTime(_started);
            Announce(geometry.Layers);
        }
    }

    /// <summary>Blocks of the own disk that the device can fetch itself; null where one is not, or it cannot.</summary>
    private IDirectMemory[]? DirectMemories(IReadOnlyList<IBlockSource> sources)
    {
        if (_arena is not IDirectKvArena arena || !sources.All(source => source is ObjectReader)) return null;
        var memories = _blocks.Select(arena.DirectMemoryOf).OfType<IDirectMemory>().ToArray();
        return memories.Length == _blocks.Length ? memories : null;
    }

    private async Task RunDirectAsync(IReadOnlyList<IBlockSource> sources, IDirectMemory[] memories)
    {
        try
        {
            var results = new ReadResult[sources.Count];
            await Parallel.ForEachAsync(
                Enumerable.Range(0, results.Length), new ParallelOptions { MaxDegreeOfParallelism = DirectReadsMax },
                async (i, _) => results[i] = await ((ObjectReader)sources[i]).ReadAsync(memories[i]));
            var bad = Array.FindIndex(results, result => !result.IsHit);
            GoodBlocks = bad < 0 ? results.Length : bad;
            Copies = results.Length;
        }
        catch (IOException error)
        {
            // The objects may be as good as ever: once more, by way of the host.
            DirectFailure = error.Message;
            ((IDirectKvArena)_arena).GiveUpDirect();
        }
        finally
        {
            if (DirectFailure is null) End(sources);
        }

        if (DirectFailure is not null) await RunAsync(sources);
    }

    private Task RunStraightAsync(IReadOnlyList<IBlockSource> sources)
    {
        try
        {
            for (var start = 0; start < sources.Count; Copies++)
            {
                var end = start + 1;
                while (end < sources.Count && _blocks[end].Value == _blocks[end - 1].Value + 1
                    && ((HostHold)sources[end - 1]).IsFollowedBy((HostHold)sources[end]))
                    end++;
                ((HostHold)sources[start]).Lend(
                    end - start, (_arena, Block: _blocks[start], Count: end - start),
                    static (bytes, to) => to._arena.CopyRunIn(to.Block, to.Count, bytes));
                GoodBlocks = start = end;
            }
        }
        finally
        {
            End(sources);
        }

        return Task.CompletedTask;
    }

    private void End(IReadOnlyList<IBlockSource> sources)
    {
        foreach (var source in sources) source.Dispose();
        Duration = _time.GetElapsedTime(_started);
        Announce(_arena.Geometry.Layers);
    }

    private void Announce(int layers)
    {
        lock (_gate)
        {
            _layersThere = layers;
            Monitor.PulseAll(_gate);
        }
    }

    private Memory<byte> Destination(int block, int firstLayer, int count)
    {
        var layerBytes = _arena.Geometry.LayerBytes;
        Memory<byte> memory;
        if (!IsInPlace) memory = _staging[block].Memory;
        else _arena.TryGetMemory(_blocks[block], out memory);
        return memory.Slice(firstLayer * layerBytes, count * layerBytes);
    }
}
