using Krewe.KvStore.Devices;
using Krewe.KvStore.Memory;

namespace Krewe.KvStore.Disk;

/// <summary>The open segment files of a store, in order of their numbers, and where each slot's bytes are.</summary>
internal sealed class SegmentSet : IAsyncDisposable
{
    private readonly List<ISegmentFile> _files = [];

    private SegmentSet(SegmentLayout layout) => Layout = layout;

    public SegmentLayout Layout { get; }

    /// <summary>Segments made anew because they fitted no more or were damaged.</summary>
    public int Discarded { get; private set; }

    /// <exception cref="KvStoreException">A segment cannot be made, or belongs to other settings.</exception>
    public static async ValueTask<SegmentSet> OpenAsync(
        SsdStoreOptions options, IBlockDevice device, CancellationToken cancellationToken)
    {
        var set = new SegmentSet(new SegmentLayout(options));
        var complete = false;
        var made = new List<string>();
        try
        {
            RefuseStrangers(options, device, set.Layout.Segments);
            DemandRoom(options, set.Layout);
            using var page = new NativeBuffer(Page.Bytes);
            for (var segment = 0; segment < set.Layout.Segments; segment++)
            {
                var path = PathOf(options, segment);
                if (!System.IO.File.Exists(path)) made.Add(path);
                set._files.Add(await set.OpenOneAsync(path, segment, options, device, page, cancellationToken));
            }

            complete = true;
            return set;
        }
        catch (BlockIoException error)
        {
            var isFull = error.Fault == BlockIoFault.DiskFull;
            var failure = new KvStoreException(
                isFull ? KvStoreError.DiskFull : KvStoreError.WriteFailed,
                $"The KV store's segments cannot be made ({set._files.Count} of {set.Layout.Segments} are): "
                + $"{error.Message} Lower CapacityBytes, free space or name another directory.",
                innerException: error);
            if (isFull) await set.GiveBackAsync(device, made);
            throw failure;
        }
        finally
        {
            if (!complete) await set.DisposeAsync();
        }
    }

    public ISegmentFile File(int segment) => _files[segment];

    public (ISegmentFile File, int Index) Locate(int slot)
    {
        var (segment, index) = Layout.Locate(slot);
        return (_files[segment], index);
    }

    /// <summary>File and slot in words, for messages.</summary>
    public string Describe(int slot)
    {
        var (file, index) = Locate(slot);
        return $"slot {index} of '{file.Path}'";
    }

    public async ValueTask FlushAsync()
    {
        foreach (var file in _files) await file.FlushAsync();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var file in _files) await file.DisposeAsync();
        _files.Clear();
    }

    internal static string FileName(int segment) => $"segment-{segment:D6}.kv";

    private static string PathOf(SsdStoreOptions options, int segment) =>
        Path.Combine(options.Directories[segment % options.Directories.Count], FileName(segment));

    /// <summary>Files beyond the capacity, left by a larger store or another order of directories.</summary>
    private static void RefuseStrangers(SsdStoreOptions options, IBlockDevice device, int segments)
    {
        var known = Enumerable.Range(0, segments).Select(segment => PathOf(options, segment)).ToHashSet();
        var strangers = options.Directories
            .SelectMany(directory => Directory.EnumerateFiles(directory, "segment-*.kv"))
            .Where(path => !known.Contains(path));
        foreach (var path in strangers)
        {
            if (options.OnMismatch == MismatchAction.Refuse)
                throw Mismatch(path, "is not part of this store: capacity or order of directories has changed");
            device.DeleteSegment(path);
        }
    }

    /// <summary>
    /// Before anything is reserved: a store that is too large would else take all that others on the disk need before
    /// it finds that this is not enough.
    /// </summary>
    private static void DemandRoom(SsdStoreOptions options, SegmentLayout layout)
    {
        var directories = options.Directories.Count;
        for (var directory = 0; directory < directories; directory++)
        {
            var wanted = directory == 0 ? options.BesideBytes : 0L;
            for (var segment = directory; segment < layout.Segments; segment += directories)
            {
                var file = new FileInfo(PathOf(options, segment));
                wanted += Math.Max(0, layout.FileBytes - (file.Exists ? file.Length : 0));
            }

            var available = new DriveInfo(options.Directories[directory]).AvailableFreeSpace;
            if (available >= wanted) continue;
            throw new BlockIoException(
                BlockIoFault.DiskFull,
                $"'{options.Directories[directory]}' takes {wanted:N0} bytes more and {available:N0} are free.");
        }
    }

    /// <summary>What was reserved in vain is not kept from others.</summary>
    private async ValueTask GiveBackAsync(IBlockDevice device, List<string> made)
    {
        await DisposeAsync();
        foreach (var path in made) device.DeleteSegment(path);
    }

    private static KvStoreException Mismatch(string path, string what) => new(
        KvStoreError.SegmentMismatch,
        $"'{path}' {what}. Its objects cannot be used. Delete it, name another directory, or set OnMismatch to "
        + "Discard.",
        path);

    private async ValueTask<ISegmentFile> OpenOneAsync(
        string path, int segment, SsdStoreOptions options, IBlockDevice device, NativeBuffer page,
        CancellationToken cancellationToken)
    {
        var expected = SegmentHeader.For(Layout, segment);
        var file = await device.OpenSegmentAsync(path, Layout.FileBytes, cancellationToken);
        await file.ReadAsync(0, page.Memory);
        var state = SegmentHeader.Read(page.GetSpan(), out var found);
        if (state == HeaderState.Valid && found == expected) return file;

        if (state == HeaderState.Valid && options.OnMismatch == MismatchAction.Refuse)
        {
            await file.DisposeAsync();
            throw Mismatch(
                path, $"is segment {found.Segment} of {found.Segments} with {found.Slots} slots for [{found.Format}], "
                + $"not {segment} of {expected.Segments} with {expected.Slots} slots for [{expected.Format}]");
        }

        if (state != HeaderState.Empty)
        {
            // A torn segment header says nothing about what lies behind it. The file is a cache: begin anew.
            await file.DisposeAsync();
            device.DeleteSegment(path);
            file = await device.OpenSegmentAsync(path, Layout.FileBytes, cancellationToken);
            Discarded++;
        }

        expected.Write(page.GetSpan());
        await file.WriteAsync(0, page.Memory);
        return file;
    }
}
