using Krewe.KvStore.Devices;
using Krewe.KvStore.Disk;
using Krewe.KvStore.Memory;

namespace Krewe.KvStore.Sharing;

/// <summary>
/// Another worker's part of a shared directory, read only, whether its owner lives or not. What it says it holds is
/// believed only after header and body were read and checked.
/// </summary>
internal sealed class NeighbourPart : IAsyncDisposable
{
    private const int PieceHeaders = 256;

    private readonly PartJournal _journal;
    private readonly ISegmentFile?[] _files;
    private readonly Lock _gate = new();
    private readonly Dictionary<BlockKey, int> _slots = [];
    private readonly ulong _epoch;
    private ulong _read;

    private NeighbourPart(PartJournal journal, SegmentLayout layout, ISegmentFile?[] files)
    {
        (_journal, _epoch, Layout, _files) = (journal, journal.Epoch, layout, files);
        _read = journal.Head;
    }

    public SegmentLayout Layout { get; }

    /// <summary>False when it has a new owner or has said more than was read: it must be opened anew.</summary>
    public bool IsCurrent { get; private set; } = true;

    public int Objects
    {
        get
        {
            lock (_gate) return _slots.Count;
        }
    }

    /// <summary>Opens the part and reads its headers; null when there is nothing to read (yet).</summary>
    /// <param name="directories">The part's directories, in the order of the store's.</param>
    /// <param name="expected">Format that its segments must have.</param>
    public static async ValueTask<NeighbourPart?> TryOpenAsync(
        IReadOnlyList<string> directories, IBlockDevice device, SegmentLayout expected,
        CancellationToken cancellationToken)
    {
        if (PartJournal.TryOpen(SharedDirectory.JournalOf(directories)) is not { } journal) return null;
        var files = new List<ISegmentFile?>();
        NeighbourPart? part = null;
        try
        {
            using var page = new NativeBuffer(Page.Bytes);
            SegmentLayout? layout = null;
            for (var segment = 0; segment < (layout?.Segments ?? 1); segment++)
            {
                var file = await OpenSegmentAsync(directories, segment, device, cancellationToken);
                files.Add(file);
                if (file is null) continue;
                await file.ReadAsync(0, page.Memory);
                var isOurs = SegmentHeader.Read(page.GetSpan(), out var header) == HeaderState.Valid
                    && header.Fingerprint == expected.Fingerprint && header.BodyBytes == expected.BodyBytes
                    && header.Segment == segment;
                if (!isOurs) return null;
                layout ??= expected.Like(header.Segments, header.Slots);
            }

            if (layout is null) return null;
            part = new NeighbourPart(journal, layout, [.. files]);
            await part.ScanAsync(cancellationToken);
            return part;
        }
        catch (BlockIoException)
        {
            return null; // being made or unmade by its owner: the next look will tell
        }
        finally
        {
            if (part is null)
            {
                journal.Dispose();
                foreach (var file in files.OfType<ISegmentFile>()) await file.DisposeAsync();
            }
        }
    }

    /// <summary>The slot that should hold the key, after everything that the owner has said; null when none.</summary>
    public int? Find(BlockKey key)
    {
        lock (_gate)
        {
            CatchUp();
            return _slots.TryGetValue(key, out var slot) ? slot : null;
        }
    }

    /// <summary>Forgets a key that was not where it should be.</summary>
    public void Forget(BlockKey key)
    {
        lock (_gate) _slots.Remove(key);
    }

    public ISegmentFile? FileOf(int slot, out int index)
    {
        (var segment, index) = Layout.Locate(slot);
        return segment < _files.Length ? _files[segment] : null;
    }

    /// <summary>Reads what is new in the journal. Cheap when nothing is.</summary>
    public void Refresh()
    {
        lock (_gate) CatchUp();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var file in _files.OfType<ISegmentFile>()) await file.DisposeAsync();
        lock (_gate)
        {
            IsCurrent = false;
            _journal.Dispose();
        }
    }

    private static async ValueTask<ISegmentFile?> OpenSegmentAsync(
        IReadOnlyList<string> directories, int segment, IBlockDevice device, CancellationToken cancellationToken)
    {
        var path = Path.Combine(directories[segment % directories.Count], SegmentSet.FileName(segment));
        return File.Exists(path) ? await device.OpenSegmentAsync(path, 0, cancellationToken) : null;
    }

    private void CatchUp()
    {
        if (!IsCurrent) return;
        if (_journal.Epoch != _epoch)
        {
            IsCurrent = false;
            return;
        }

        for (var head = _journal.Head; _read < head; _read++)
        {
            if (!_journal.TryRead(_read, out var key, out var slot))
            {
                IsCurrent = false; // the ring went round: only the headers know
                return;
            }

            if (slot is { } place && place < Layout.Slots) _slots[key] = place;
            else _slots.Remove(key);
        }
    }

    /// <summary>Reads all headers in large sequential pieces. The newest generation of a key wins.</summary>
    private async ValueTask ScanAsync(CancellationToken cancellationToken)
    {
        using var buffer = new NativeBuffer(PieceHeaders * Page.Bytes);
        var generations = new Dictionary<BlockKey, ulong>();
        for (var segment = 0; segment < _files.Length; segment++)
        {
            if (_files[segment] is not { } file) continue;
            for (var first = 0; first < Layout.SlotsPerSegment; first += PieceHeaders)
            {
                cancellationToken.ThrowIfCancellationRequested();
                var count = Math.Min(PieceHeaders, Layout.SlotsPerSegment - first);
                var pages = buffer.Memory[..(count * Page.Bytes)];
                await file.ReadAsync(SegmentLayout.HeaderOffset(first), pages);
                for (var i = 0; i < count; i++)
                    Take(pages.Span.Slice(i * Page.Bytes, Page.Bytes), segment, first + i, generations);
            }
        }
    }

    private void Take(Span<byte> page, int segment, int index, Dictionary<BlockKey, ulong> generations)
    {
        if (ObjectHeader.Read(page, out var header) != HeaderState.Valid || !Fits(header, segment, index)) return;
        if (generations.TryGetValue(header.Key, out var other) && other > header.Generation) return;
        generations[header.Key] = header.Generation;
        lock (_gate) _slots[header.Key] = Layout.SlotAt(segment, index);
    }

    internal bool Fits(in ObjectHeader header, int segment, int index) =>
        header.Fingerprint == Layout.Fingerprint && header.Segment == segment && header.Slot == index
        && header.Layers == Layout.Layers && header.PayloadBytes == (ulong)Layout.PayloadBytes;
}
