using System.IO.MemoryMappedFiles;

namespace Krewe.Models;

/// <summary>One memory-mapped safetensors file with a checked header. The map is read-only and lives until Dispose.
/// </summary>
internal sealed unsafe class SafetensorsFile : IDisposable
{
    private readonly MemoryMappedFile _map;
    private readonly MemoryMappedViewAccessor _view;
    private readonly byte* _data;
    private bool _disposed;

    private SafetensorsFile(
        string path, MemoryMappedFile map, MemoryMappedViewAccessor view, byte* start, long fileBytes)
    {
        (Path, _map, _view, FileBytes) = (path, map, view, fileBytes);
        var name = System.IO.Path.GetFileName(path);
        var firstBytes = new ReadOnlySpan<byte>(start, (int)Math.Min(8, fileBytes));
        HeaderBytes = SafetensorsHeader.ReadLength(name, firstBytes, fileBytes);
        var json = new ReadOnlySpan<byte>(start + 8, HeaderBytes).ToArray();
        _data = start + 8 + HeaderBytes;
        Entries = SafetensorsHeader.Read(name, json, fileBytes - 8 - HeaderBytes);
    }

    public string Path { get; }

    public long FileBytes { get; }

    public int HeaderBytes { get; }

    public List<TensorEntry> Entries { get; }

    public static SafetensorsFile Open(string path)
    {
        var name = System.IO.Path.GetFileName(path);
        MemoryMappedFile? map = null;
        MemoryMappedViewAccessor? view = null;
        try
        {
            var fileBytes = new FileInfo(path).Length;
            if (fileBytes == 0)
                throw new ModelException($"{name}: the file is empty. Download it again.");
            map = MemoryMappedFile.CreateFromFile(path, FileMode.Open, null, 0, MemoryMappedFileAccess.Read);
            view = map.CreateViewAccessor(0, fileBytes, MemoryMappedFileAccess.Read);
            byte* start = null;
            view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
            return new SafetensorsFile(path, map, view, start + view.PointerOffset, fileBytes);
        }
        catch (Exception e)
        {
            view?.Dispose();
            map?.Dispose();
            if (e is IOException or UnauthorizedAccessException)
                throw new ModelException($"{path}: cannot be opened: {e.Message}", e);
            throw;
        }
    }

    public Tensor Tensor(TensorEntry entry, DType type)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        var bytesPerElement = type == DType.F32 ? 4 : 2;
        return new Tensor(entry.Name, type, entry.Shape, _data + entry.Begin,
            (entry.End - entry.Begin) / bytesPerElement);
    }

    /// <summary>The mapped bytes [offset, offset + count) of the whole file.</summary>
    public ReadOnlySpan<byte> Bytes(long offset, int count)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, FileBytes - count);
        return new ReadOnlySpan<byte>(_data - 8 - HeaderBytes + offset, count);
    }

    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _map.Dispose();
    }
}
