using Krewe.KvStore.Devices;
using Krewe.KvStore.Memory;
using Krewe.KvStore.Slots;

namespace Krewe.KvStore.Disk;

/// <summary>
/// Reads all header pages in large sequential pieces, several at once, and fills the index. Bodies are not read: each
/// is verified when it is used. Of two copies of a key the newer generation wins.
/// </summary>
internal sealed class IndexRebuild(SegmentSet segments, SlotRecords records, StoreCounters counters)
{
    private const int PieceHeaders = 256;
    private const int PiecesInFlight = 16;

    private readonly Lock _gate = new();
    private readonly Dictionary<BlockKey, Found> _newest = [];
    private readonly List<int> _losers = [];

    /// <summary>Slots whose header is valid on disk but not in the index: they must be cleared.</summary>
    public IReadOnlyList<int> Losers => _losers;

    /// <returns>The highest generation seen; 0 in an empty store.</returns>
    /// <exception cref="BlockIoException">A segment cannot be read at all.</exception>
    public async ValueTask<ulong> RunAsync(SlotIndex index, CancellationToken cancellationToken)
    {
        using var buffers = new BufferPool(PiecesInFlight, PieceHeaders * Page.Bytes);
        var layout = segments.Layout;
        var pieces =
            from first in Enumerable.Range(0, (layout.SlotsPerSegment + PieceHeaders - 1) / PieceHeaders)
            from segment in Enumerable.Range(0, layout.Segments)
            select (segment, first * PieceHeaders);
        var options = new ParallelOptions
        {
            MaxDegreeOfParallelism = PiecesInFlight,
            CancellationToken = cancellationToken,
        };
        await Parallel.ForEachAsync(pieces, options, async (piece, token) =>
        {
            var buffer = await buffers.RentAsync(token);
            try
            {
                await ReadPieceAsync(piece.segment, piece.Item2, buffer);
            }
            finally
            {
                buffers.Return(buffer);
            }
        });

        // Longest unused is not on disk; oldest written stands in for it.
        index.Adopt(_newest.Values
            .OrderBy(found => found.Header.Generation)
            .Select(found => (found.Header.Key, found.Slot, found.Header.RecomputeSeconds)));
        return _newest.Count == 0 ? 0 : _newest.Values.Max(found => found.Header.Generation);
    }

    private async ValueTask ReadPieceAsync(int segment, int first, Memory<byte> buffer)
    {
        var count = Math.Min(PieceHeaders, segments.Layout.SlotsPerSegment - first);
        var pages = buffer[..(count * Page.Bytes)];
        await segments.File(segment).ReadAsync(SegmentLayout.HeaderOffset(first), pages);
        StoreCounters.Add(ref counters.BytesRead, pages.Length);
        for (var i = 0; i < count; i++) Take(segment, first + i, pages.Span.Slice(i * Page.Bytes, Page.Bytes));
    }

    private void Take(int segment, int index, Span<byte> page)
    {
        var layout = segments.Layout;
        var slot = layout.SlotAt(segment, index);
        var state = ObjectHeader.Read(page, out var header);
        if (state == HeaderState.Empty) return;
        records.HeaderOnDisk(slot) = true;
        if (state == HeaderState.Torn || !Fits(header, segment, index))
        {
            StoreCounters.Add(ref counters.TornHeaders);
            return;
        }

        ObjectHeader.LayerChecksums(page, layout.Layers).CopyTo(records.LayerChecksums(slot));
        records.Generation(slot) = header.Generation;
        lock (_gate) Prefer(new Found(header, slot));
    }

    private bool Fits(in ObjectHeader header, int segment, int index) =>
        header.Fingerprint == segments.Layout.Fingerprint
        && header.PayloadBytes == (ulong)segments.Layout.PayloadBytes
        && header.Layers == segments.Layout.Layers
        && header.Segment == segment
        && header.Slot == index;

    private void Prefer(Found found)
    {
        if (_newest.TryAdd(found.Header.Key, found)) return;
        var other = _newest[found.Header.Key];
        var newer = found.Header.Generation > other.Header.Generation;
        if (newer) _newest[found.Header.Key] = found;
        _losers.Add(newer ? other.Slot : found.Slot);
        StoreCounters.Add(ref counters.Superseded);
    }

    private readonly record struct Found(ObjectHeader Header, int Slot);
}
