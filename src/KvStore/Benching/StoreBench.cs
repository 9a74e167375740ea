using Krewe.Abstractions;
using Krewe.KvStore.Devices;
using Krewe.KvStore.Disk;
using Krewe.KvStore.Memory;

namespace Krewe.KvStore.Benching;

/// <summary>What a run of the store's benchmark moves.</summary>
public sealed record StoreBenchSizes
{
    public required IReadOnlyList<string> Directories { get; init; }

    /// <summary>Shape of the objects.</summary>
    public required KvGeometry Geometry { get; init; }

    public required int Objects { get; init; }

    public required int QueueDepth { get; init; }

    /// <summary>Raw and store take turns so often; the median of the turns' ratios counts.</summary>
    public required int Repeats { get; init; }
}

/// <summary>One kind of work, store and raw device one right after the other.</summary>
/// <param name="Operation">"write", "read", "restore" (sequences' objects as a worker reads them) or "read_layers" (the
/// same, one layer an I/O).</param>
/// <param name="BytesPerSecond">The store, payload bytes.</param>
/// <param name="LimitBytesPerSecond">Raw io_uring: the same objects of the same files in the same order.</param>
/// <param name="Ratio">Median over the turns, not the quotient of the two medians.</param>
/// <param name="SameIoBytesPerSecond">Raw io_uring by I/Os of the very size that the store used.</param>
/// <param name="SameIoRatio">Median over the turns, of that.</param>
public sealed record StoreFigures(
    string Operation, double BytesPerSecond, double LimitBytesPerSecond, double Ratio, double SameIoBytesPerSecond,
    double SameIoRatio);

/// <summary>All figures of a run.</summary>
/// <param name="RebuildSeconds">Opening the store with all its objects.</param>
public sealed record StoreBenchResult(
    string Store, int Objects, int ObjectBytes, IReadOnlyList<StoreFigures> Results, double RebuildSeconds);

/// <summary>Measures the object store beside the disk under it: <c>krewe bench store</c>.</summary>
public sealed class StoreBench(StoreBenchSizes sizes, TimeProvider time)
{
    private static readonly NumericsFingerprint Numerics = new("bench", "none", 1, "none", KvFormat.BF16);

    private readonly SegmentLayout _layout = new(Options(sizes));
    private readonly NativeBuffer[] _sequence =
        [new(SequenceObjects(sizes) * (int)Page.RoundUp(sizes.Geometry.BlockBytes))];

    private readonly NativeBuffer[] _buffers = [.. Enumerable.Range(0, sizes.QueueDepth)
        .Select(_ => new NativeBuffer((int)Page.RoundUp(sizes.Geometry.BlockBytes)))];

    /// <summary>Makes the files, measures, and deletes them.</summary>
    /// <exception cref="KvStoreException">No io_uring here, or no room; the message says what to change.</exception>
    public async Task<StoreBenchResult> RunAsync(CancellationToken cancellationToken)
    {
        string description;
        List<StoreFigures> results = [];
        var directories = sizes.Directories.Select(directory => Path.Combine(directory, "bench-store")).ToArray();
        var options = Options(sizes) with { Directories = directories, OnMismatch = MismatchAction.Discard };
        try
        {
            await using (var store = await OpenAsync(options, cancellationToken))
            {
                foreach (var buffer in _buffers.Concat(_sequence))
                {
                    buffer.GetSpan().Fill(0x5a); // touched, so that no page is made inside a measurement
                    await store.RegisterMemoryAsync(buffer);
                }

                description = store.Description;
                results.Add(await MeasureWritesAsync(store, options, cancellationToken));
                var (layers, all) = (LayerRestore.LayersPerRead(sizes.Geometry), sizes.Geometry.Layers);
                results.Add(await MeasureReadsAsync(
                    options, store, "read", all, order => ReadAllAsync(store, order, cancellationToken)));
                foreach (var (name, perRead) in ((string, int)[])[("restore", layers), ("read_layers", 1)])
                {
                    results.Add(await MeasureReadsAsync(
                        options, store, name, Math.Min(all, perRead), order => RestoreAllAsync(store, order, perRead)));
                }
            }

            await using var again = await OpenAsync(options, cancellationToken);
            var rebuild = again.Statistics.OpenDuration.TotalSeconds;
            return new StoreBenchResult(
                description, again.Statistics.Objects, _layout.PayloadBytes, results, rebuild);
        }
        finally
        {
            foreach (var buffer in _buffers.Concat(_sequence)) ((IDisposable)buffer).Dispose();
            foreach (var directory in directories.Where(Directory.Exists)) Directory.Delete(directory, recursive: true);
        }
    }

    /// <summary>Objects of a sequence: 1,024 tokens of 16 a block, fewer of large ones.</summary>
    private static int SequenceObjects(StoreBenchSizes sizes) =>
        Math.Clamp((256 << 20) / sizes.Geometry.BlockBytes, 1, 64);

    private static SsdStoreOptions Options(StoreBenchSizes sizes)
    {
        var body = Page.RoundUp(sizes.Geometry.BlockBytes);
        // One segment in each directory; a put that replaces needs a slot to spare while it runs.
        var slots = ((sizes.Objects + sizes.Directories.Count - 1) / sizes.Directories.Count) + sizes.QueueDepth + 1;
        var segment = Page.Bytes + (slots * (Page.Bytes + body));
        return new SsdStoreOptions
        {
            Directories = sizes.Directories,
            Geometry = sizes.Geometry,
            Numerics = Numerics,
            CapacityBytes = segment * sizes.Directories.Count,
            SegmentBytes = segment,
            StagingBuffers = sizes.QueueDepth,
            WritesInFlightMax = sizes.QueueDepth,
        };
    }

    private async Task<SsdObjectStore> OpenAsync(SsdStoreOptions options, CancellationToken cancellationToken) =>
        await SsdObjectStore.OpenAsync(
            options, new BlockDeviceOptions { Path = IoPath.IoUring, QueueDepth = sizes.QueueDepth }, time,
            cancellationToken);

    private static BlockKey Key(int number) => new((ulong)number + 1, (ulong)number * 0x9E3779B97F4A7C15);

    /// <summary>
    /// The first pass lets the file system make the files' blocks, and counts for neither. Every put replaces.
    /// </summary>
    private async Task<StoreFigures> MeasureWritesAsync(
        SsdObjectStore store, SsdStoreOptions options, CancellationToken cancellationToken)
    {
        await PutAllAsync(store, cancellationToken);
        return await TakeTurnsAsync(
            "write", () => PutAllAsync(store, cancellationToken),
            () => Raw(options, InOrder(), sizes.Geometry.Layers, write: true, scratch: true), sameIo: null);
    }

    private async Task<StoreFigures> MeasureReadsAsync(
        SsdStoreOptions options, SsdObjectStore store, string name, int layersPerRead, Func<int[], Task<TimeSpan>> read)
    {
        var order = Shuffled();
        // Where the store keeps each object now: the raw run reads the very same places in the same order.
        var places = order.Select(number => store.SlotOf(Key(number))!.Value).ToArray();
        var (layers, layerBytes) = (sizes.Geometry.Layers, sizes.Geometry.LayerBytes);
        var cut = layersPerRead < layers && layers % layersPerRead == 0 && Page.IsAligned(layerBytes);
        return await TakeTurnsAsync(
            name, () => read(order), () => Raw(options, places, layers, write: false, scratch: false),
            cut ? () => Raw(options, places, layersPerRead, write: false, scratch: false) : null);
    }

    /// <param name="sameIo">Null: the store's I/Os are whole objects, or such that direct I/O cannot do.</param>
    private async Task<StoreFigures> TakeTurnsAsync(
        string name, Func<Task<TimeSpan>> store, Func<TimeSpan> raw, Func<TimeSpan>? sameIo)
    {
        var bytes = (double)sizes.Objects * _layout.PayloadBytes;
        List<double> ratios = [], speeds = [], limits = [], sameRatios = [], sameLimits = [];
        for (var turn = 0; turn <= sizes.Repeats; turn++)
        {
            var limit = bytes / raw().TotalSeconds;
            var speed = bytes / (await store()).TotalSeconds;
            var same = sameIo is null ? limit : bytes / sameIo().TotalSeconds;
            if (turn == 0) continue; // warm-up of all
            ratios.Add(speed / limit);
            speeds.Add(speed);
            limits.Add(limit);
            sameLimits.Add(same);
            sameRatios.Add(speed / same);
        }

        return new StoreFigures(
            name, Median(speeds), Median(limits), Median(ratios), Median(sameLimits), Median(sameRatios));
    }

    private async Task<TimeSpan> PutAllAsync(SsdObjectStore store, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        await ForAllAsync(InOrder(), async (number, buffer) =>
        {
            var put = await store.PutAsync(
                Key(number), buffer[.._layout.PayloadBytes], replace: true, cancellationToken: cancellationToken);
            if (put.Error is { } error) throw error;
        });
        return time.GetElapsedTime(started);
    }

    private async Task<TimeSpan> ReadAllAsync(SsdObjectStore store, int[] order, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        await ForAllAsync(order, async (number, buffer) =>
        {
            var read = await store.GetAsync(Key(number), buffer[.._layout.PayloadBytes], cancellationToken);
            if (!read.IsHit) throw NotServed();
        });
        return time.GetElapsedTime(started);
    }

    /// <summary>One sequence's objects after the other's, each sequence layer by layer.</summary>
    private async Task<TimeSpan> RestoreAllAsync(SsdObjectStore store, int[] order, int layersPerRead)
    {
        var (geometry, pitch) = (sizes.Geometry, (int)Page.RoundUp(sizes.Geometry.BlockBytes));
        var started = time.GetTimestamp();
        foreach (var sequence in order.Chunk(SequenceObjects(sizes)))
        {
            var sources = sequence.Select(number => store.TryOpenObject(Key(number)) ?? throw NotServed()).ToArray();
            await using var restore = LayerRestore.Start(
                sources, geometry.Layers,
                (block, first, count) => _sequence[0].Memory.Slice(
                    (block * pitch) + (first * geometry.LayerBytes), count * geometry.LayerBytes),
                layersPerRead);
            for (var layer = 0; layer < geometry.Layers; layer++)
            {
                if (!(await restore.WaitForLayerAsync(layer)).IsHit) throw NotServed();
            }
        }

        return time.GetElapsedTime(started);
    }

    private static KvStoreException NotServed() =>
        new(KvStoreError.CorruptObject, "A bench object was not served.");

    /// <summary>As many at once as the queue is deep, each with a buffer of its own.</summary>
    private async Task ForAllAsync(int[] numbers, Func<int, Memory<byte>, ValueTask> work)
    {
        var next = -1;
        await Task.WhenAll(_buffers.Select(buffer => Task.Run(async () =>
        {
            while (Interlocked.Increment(ref next) is var at && at < numbers.Length)
                await work(numbers[at], buffer.Memory);
        })));
    }

    /// <summary>Objects in this order, sequence by sequence, in I/Os of so many layers, layer by layer.</summary>
    private TimeSpan Raw(SsdStoreOptions options, int[] slots, int layersPerRead, bool write, bool scratch)
    {
        var paths = Enumerable.Range(0, _layout.Segments).Select(segment => Path.Combine(
            options.Directories[segment % options.Directories.Count],
            scratch ? $"raw-{segment}" : SegmentSet.FileName(segment))).ToArray();
        if (scratch)
        {
            foreach (var path in paths) DirectFile.Open(path, _layout.FileBytes, direct: true).Dispose();
        }

        var rounds = (sizes.Geometry.Layers + layersPerRead - 1) / layersPerRead;
        var ioBytes = rounds == 1 ? _layout.BodyBytes : layersPerRead * sizes.Geometry.LayerBytes;
        var transfers = slots.Chunk(SequenceObjects(sizes)).SelectMany(
            sequence => Enumerable.Range(0, rounds).SelectMany(round => sequence.Select(slot =>
            {
                var (segment, index) = _layout.Locate(slot);
                return new RawIo(segment, _layout.BodyOffset(index) + ((long)round * ioBytes));
            }))).ToArray();
        return RawTransfer.Run(paths, transfers, ioBytes, _buffers, write, time);
    }

    private int[] InOrder() => [.. Enumerable.Range(0, sizes.Objects)];

    private int[] Shuffled()
    {
        var order = InOrder();
        new Random(1).Shuffle(order);
        return order;
    }

    private static double Median(List<double> values)
    {
        values.Sort();
        return values[values.Count / 2];
    }
}
