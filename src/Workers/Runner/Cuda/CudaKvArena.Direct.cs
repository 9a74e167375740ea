using Krewe.Abstractions;
using Krewe.Kernels.Cuda;
using Krewe.KvStore.Devices;
using Krewe.KvStore.Disk;
using Microsoft.Win32.SafeHandles;

namespace Krewe.Workers;

/// <summary>KV objects from disk straight into blocks, by GPUDirect Storage; a kernel checks what arrived.</summary>
internal sealed unsafe partial class CudaKvArena : IDirectKvArena
{
    private DirectFiles? _files;

    /// <summary>From now on objects are read past the host. Why they cannot be; null: they are.</summary>
    public string? OpenDirect(CudaLibraries libraries)
    {
        try
        {
            _files = Own(new DirectFiles(_device, CuFile.Load(libraries), _memory));
            return null;
        }
        catch (CudaException error)
        {
            return error.Message;
        }
    }

    public IDirectMemory? DirectMemoryOf(BlockId block) =>
        Volatile.Read(ref _files) is { } files ? new DirectBlock(this, files, block) : null;

    public void GiveUpDirect() => Volatile.Write(ref _files, null);

    private void Read(DirectFiles files, BlockId block, string path, long offset, Span<uint> checksums)
    {
        var start = (long)block.Value * Geometry.BlockBytes;
        // A block that was just given up may still be read by work under way; cuFile knows nothing of streams.
        _queued.Synchronize("KV read from disk");
        files.Read(path, start, Geometry.BlockBytes, offset);
        lock (_gate)
        {
            try
            {
                _kernels.Crc32C(
                    _stream, _memory.At(start, Geometry.BlockBytes), Geometry.Layers, Geometry.LayerBytes,
                    _pieces.Address);
                _stream.CopyToHost(_pinnedPieces.Data, _pieces.Address, checksums.Length * sizeof(uint));
                _stream.Synchronize("KV read from disk");
            }
            catch
            {
                Drain();
                throw;
            }

            new ReadOnlySpan<uint>(_pinnedPieces.Data, checksums.Length).CopyTo(checksums);
        }
    }

    private sealed class DirectBlock(CudaKvArena arena, DirectFiles files, BlockId block) : IDirectMemory
    {
        public void Read(string path, long offset, Span<uint> checksums)
        {
            try
            {
                arena.Read(files, block, path, offset, checksums);
            }
            catch (CudaException error)
            {
                throw new IOException($"GPUDirect Storage: {error.Message}", error);
            }
        }
    }

    /// <summary>The arena's memory and the segment files, as cuFile knows them.</summary>
    private sealed class DirectFiles : IDisposable
    {
        private readonly Lock _gate = new();
        private readonly CudaDevice _device;
        private readonly CuFile _library;
        private readonly nint _memory;
        private readonly Dictionary<string, (SafeFileHandle File, nint Handle)> _open = [];

        public DirectFiles(CudaDevice device, CuFile library, DeviceMemory memory)
        {
            (_device, _library, _memory) = (device, library, memory.Address);
            try
            {
                library.RegisterMemory(device, memory.Address, memory.Bytes);
            }
            catch
            {
                library.Dispose();
                throw;
            }
        }

        public void Read(string path, long start, long bytes, long offset) =>
            _library.Read(_device, HandleOf(path), _memory, start, bytes, offset);

        public void Dispose()
        {
            foreach (var (file, handle) in _open.Values)
            {
                _library.Forget(handle);
                file.Dispose();
            }

            _open.Clear();
            try
            {
                _library.ForgetMemory(_device, _memory);
            }
            catch (CudaException)
            {
                // The context is lost, and the registration with it.
            }

            _library.Dispose();
        }

        private nint HandleOf(string path)
        {
            lock (_gate)
            {
                if (_open.TryGetValue(path, out var known)) return known.Handle;
                var file = DirectFile.OpenForReading(path);
                try
                {
                    var handle = _library.Register(file);
                    _open.Add(path, (file, handle));
                    return handle;
                }
                catch
                {
                    file.Dispose();
                    throw;
                }
            }
        }
    }
}
