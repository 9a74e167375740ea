using System.IO.MemoryMappedFiles;
using System.Security.Cryptography;
using Krewe.KvStore.Devices;

namespace Krewe.KvStore.Sharing;

/// <summary>
/// What the owner of one part of a shared directory tells its neighbours: a ring of the newest stored and removed keys
/// in a file that all of them map into memory. Only a hint, since a reader verifies every object on disk; and only for
/// the living, since the kernel keeps a dead process's last words but a power cut does not.
/// <code>
///   0 magic u64 | 8 epoch u64, drawn anew by each owner | 16 entries ever written u64
///  64 + 40·(i mod 65,536): entry i = number i+1 u64 | key 16 bytes | slot i64, negative when the key was removed
/// </code>
/// </summary>
internal sealed unsafe class PartJournal : IDisposable
{
    public const long FileBytes = HeaderBytes + ((long)Entries * EntryBytes);

    private const ulong Magic = 0x4C4E_524A_5745_524B; // "KREWJRNL"
    private const int HeaderBytes = 64;
    private const int EntryBytes = 40;
    private const int Entries = 1 << 16;
    private const long Gone = -1;

    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;
    private readonly byte* _data;
    private readonly Lock _gate = new();

    private PartJournal(string path, bool write)
    {
        var file = new FileStream(
            path, write ? FileMode.OpenOrCreate : FileMode.Open, write ? FileAccess.ReadWrite : FileAccess.Read,
            FileShare.ReadWrite | FileShare.Delete);
        // Without blocks of its own a page written on a full disk would end the process: SIGBUS.
        if (write && OperatingSystem.IsLinux()) Reserve(file, path);
        _file = MemoryMappedFile.CreateFromFile(
            file,
            mapName: null, write ? FileBytes : 0,
            write ? MemoryMappedFileAccess.ReadWrite : MemoryMappedFileAccess.Read, HandleInheritability.None,
            leaveOpen: false);
        _view = _file.CreateViewAccessor(
            0, FileBytes, write ? MemoryMappedFileAccess.ReadWrite : MemoryMappedFileAccess.Read);
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref _data);
    }

    /// <summary>Drawn by the owner when it opened the part; a reader that sees another begins anew.</summary>
    public ulong Epoch => Volatile.Read(ref *(ulong*)(_data + 8));

    /// <summary>Entries written since the epoch began.</summary>
    public ulong Head => Volatile.Read(ref *(ulong*)(_data + 16));

    /// <summary>Begins a new epoch. The caller holds the part's lock.</summary>
    /// <exception cref="BlockIoException">The disk has no room for it.</exception>
    public static PartJournal Create(string path)
    {
        var journal = new PartJournal(path, write: true);
        var epoch = BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong))) | 1;
        // Readers that look meanwhile find no journal rather than the old entries under the new epoch.
        Volatile.Write(ref *(ulong*)journal._data, 0);
        Volatile.Write(ref *(ulong*)(journal._data + 16), 0);
        Volatile.Write(ref *(ulong*)(journal._data + 8), epoch);
        Volatile.Write(ref *(ulong*)journal._data, Magic);
        return journal;
    }

    /// <summary>Another process's journal; null when there is none yet.</summary>
    public static PartJournal? TryOpen(string path)
    {
        try
        {
            if (!File.Exists(path) || new FileInfo(path).Length < FileBytes) return null;
            var journal = new PartJournal(path, write: false);
            if (Volatile.Read(ref *(ulong*)journal._data) == Magic) return journal;
            journal.Dispose();
            return null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null; // gone again, or another user's
        }
    }

    public void AddStored(BlockKey key, int slot) => Add(key, slot);

    public void AddRemoved(BlockKey key) => Add(key, Gone);

    /// <summary>Reads entry <paramref name="number"/>, from 0. False when it was overwritten meanwhile.</summary>
    public bool TryRead(ulong number, out BlockKey key, out int? slot)
    {
        var entry = _data + HeaderBytes + ((long)(number % Entries) * EntryBytes);
        var before = Volatile.Read(ref *(ulong*)entry);
        key = BlockKey.Read(new ReadOnlySpan<byte>(entry + 8, BlockKey.SizeBytes));
        var place = Volatile.Read(ref *(long*)(entry + 24));
        slot = place == Gone ? null : (int)place;
        Thread.MemoryBarrier();
        return before == number + 1 && Volatile.Read(ref *(ulong*)entry) == number + 1;
    }

    public void Dispose()
    {
        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _file.Dispose();
    }

    private static void Reserve(FileStream file, string path)
    {
        try
        {
            DirectFile.Reserve(file.SafeFileHandle, path, FileBytes);
        }
        catch (BlockIoException)
        {
            file.Dispose();
            throw;
        }
    }

    private void Add(BlockKey key, long slot)
    {
        lock (_gate)
        {
            var number = Head;
            var entry = _data + HeaderBytes + ((long)(number % Entries) * EntryBytes);
            // Invalid while it changes; a reader checks the number before and after.
            Volatile.Write(ref *(ulong*)entry, 0);
            Thread.MemoryBarrier();
            key.Write(new Span<byte>(entry + 8, BlockKey.SizeBytes));
            *(long*)(entry + 24) = slot;
            Volatile.Write(ref *(ulong*)entry, number + 1);
            Volatile.Write(ref *(ulong*)(_data + 16), number + 1);
        }
    }
}
