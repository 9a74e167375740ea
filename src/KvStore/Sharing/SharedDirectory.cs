using System.Globalization;
using Krewe.KvStore.Devices;
using Krewe.KvStore.Disk;

namespace Krewe.KvStore.Sharing;

/// <summary>
/// Directories that several workers of one host keep KV objects in. Each format (model, geometry, numerics) has its
/// own folder there, and each worker its own part of that, the first whose lock is free; so a restarted worker takes
/// over what it left.
/// <code>DIRECTORY/kv-FORMAT/00 .. 99/segment-*.kv, store.lock, journal</code>
/// </summary>
public sealed class SharedDirectory
{
    private const int PartsMax = 100;

    private readonly IReadOnlyList<string> _roots;
    private readonly int _own;

    private SharedDirectory(IReadOnlyList<string> roots, int own) => (_roots, _own) = (roots, own);

    /// <summary>A worker's own store and its sight of its neighbours'.</summary>
    /// <param name="Store">Owned by whoever opened it, as is the other.</param>
    /// <param name="Reclaimed">Folders of other formats that were deleted to make room.</param>
    public sealed record Opened(SsdObjectStore Store, Neighbours Neighbours, IReadOnlyList<string> Reclaimed);

    /// <summary>
    /// Opens the first free part, makes it where there is none, and looks at the others. Where the disk is too full,
    /// folders of other formats that nobody has open go first, the longest unused before the others: they are caches
    /// of models that do not run.
    /// </summary>
    /// <param name="options">Settings of the part; Directories are those that are shared.</param>
    /// <exception cref="KvStoreException">The message says what to change.</exception>
    public static async ValueTask<Opened> OpenAsync(
        SsdStoreOptions options, BlockDeviceOptions device, TimeProvider time,
        CancellationToken cancellationToken = default)
    {
        var errors = options.Validate().ToList();
        if (errors.Count > 0) throw new KvStoreException(KvStoreError.InvalidOptions, string.Join(" ", errors));
        var format = new SegmentLayout(options).Fingerprint.ToString("x16", CultureInfo.InvariantCulture);
        string[] roots = [.. options.Directories.Select(directory => Path.Combine(directory, $"kv-{format}"))];
        var reclaimed = new List<string>();
        var (store, number) = await OpenFirstFreeAsync(options, roots, reclaimed, device, time, cancellationToken);
        try
        {
            store.Attach(PartJournal.Create(JournalOf(PartDirectories(roots, number))));
            var directory = new SharedDirectory(roots, number);
            var reading = await BlockDevice.OpenAsync(device, PartDirectories(roots, number));
            var neighbours = await Neighbours.OpenAsync(directory, store, reading, time, cancellationToken);
            return new Opened(store, neighbours, reclaimed);
        }
        catch (BlockIoException error) when (error.Fault == BlockIoFault.DiskFull)
        {
            await store.DisposeAsync();
            throw new KvStoreException(
                KvStoreError.DiskFull, $"{error.Message} Free space or name another directory.", innerException: error);
        }
        catch
        {
            await store.DisposeAsync();
            throw;
        }
    }

    internal static string JournalOf(IReadOnlyList<string> partDirectories) =>
        Path.Combine(partDirectories[0], "journal");

    internal string[] PartDirectories(int number) => PartDirectories(_roots, number);

    /// <summary>Numbers of the parts that are not ours, in use or left behind.</summary>
    internal IEnumerable<int> OtherParts()
    {
        foreach (var path in Directory.EnumerateDirectories(_roots[0]))
        {
            var name = Path.GetFileName(path);
            if (int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number != _own)
                yield return number;
        }
    }

    private static string[] PartDirectories(IReadOnlyList<string> roots, int number) =>
        [.. roots.Select(root => Path.Combine(root, number.ToString("D2", CultureInfo.InvariantCulture)))];

    private static async ValueTask<(SsdObjectStore Store, int Number)> OpenFirstFreeAsync(
        SsdStoreOptions options, string[] roots, List<string> reclaimed, BlockDeviceOptions device, TimeProvider time,
        CancellationToken cancellationToken)
    {
        for (var number = 0; ; number++)
        {
            try
            {
                // Another capacity than before: the part is a cache and begins anew.
                var directories = PartDirectories(roots, number);
                var part = options with
                {
                    Directories = directories,
                    OnMismatch = MismatchAction.Discard,
                    BesideBytes = File.Exists(JournalOf(directories)) ? 0 : PartJournal.FileBytes,
                };
                return (await SsdObjectStore.OpenAsync(part, device, time, cancellationToken), number);
            }
            catch (KvStoreException error) when (error.Error == KvStoreError.DirectoryInUse && number + 1 < PartsMax)
            {
                continue; // another worker's
            }
            catch (KvStoreException error) when (error.Error == KvStoreError.DiskFull)
            {
                if (TryReclaim(options.Directories, roots) is not { } deleted) throw;
                reclaimed.Add(deleted);
                number--;
            }
        }
    }

    /// <summary>Deletes one folder of another format that nobody has open; null when there is none.</summary>
    private static string? TryReclaim(IReadOnlyList<string> directories, string[] roots)
    {
        var candidates = directories
            .SelectMany(directory => Directory.EnumerateDirectories(directory, "kv-*"))
            .Where(path => !roots.Contains(path))
            .OrderBy(LastUse);
        foreach (var path in candidates)
        {
            var parts = Directory.GetDirectories(path);
            try
            {
                using (new DirectoryLock(parts))
                {
                    Directory.Delete(path, recursive: true);
                }

                return path;
            }
            catch (KvStoreException)
            {
                continue; // a worker has it open
            }
        }

        return null;
    }

    private static DateTime LastUse(string path) => Directory
        .EnumerateFiles(path, "store.lock", SearchOption.AllDirectories)
        .Select(File.GetLastWriteTimeUtc)
        .DefaultIfEmpty(DateTime.MinValue)
        .Max();
}
