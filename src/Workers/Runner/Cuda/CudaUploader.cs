using Krewe.Kernels.Cuda;

namespace Krewe.Workers;

/// <summary>
/// Brings rows of bytes to the device through two pinned buffers: while one is copied the other is filled, from the
/// mapped checkpoint.
/// </summary>
internal sealed unsafe class CudaUploader : IDisposable
{
    private const long BufferBytes = 8L << 20;

    private readonly CudaDevice _device;
    private readonly List<IDisposable> _owned = [];
    private readonly CudaStream _stream;
    private readonly PinnedMemory[] _buffers;
    private readonly CudaEvent[] _copied;
    private int _turn;

    public CudaUploader(CudaDevice device)
    {
        _device = device;
        try
        {
            _stream = Own(device.CreateStream());
            _buffers = [Own(device.AllocatePinned(BufferBytes)), Own(device.AllocatePinned(BufferBytes))];
            _copied = [Own(device.CreateEvent()), Own(device.CreateEvent())];
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Fills one row.</summary>
    public delegate void FillRow(int row, Span<byte> target);

    /// <summary>Memory of rows that <paramref name="fill"/> writes in order; returns before the last copy
    /// ran.</summary>
    public DeviceMemory Upload(int rows, long rowBytes, FillRow fill, string purpose)
    {
        var memory = _device.Allocate(rows * rowBytes, purpose);
        try
        {
            if (rowBytes > BufferBytes)
                throw new InvalidOperationException($"A row of {rowBytes} bytes ({purpose}) is larger than a buffer.");
            var rowsATurn = (int)Math.Min(rows, BufferBytes / rowBytes);
            for (var first = 0; first < rows; first += rowsATurn)
            {
                var count = Math.Min(rowsATurn, rows - first);
                var buffer = _buffers[_turn];
                _copied[_turn].Synchronize("loading weights");
                for (var row = 0; row < count; row++)
                    fill(first + row, new Span<byte>(buffer.Data + (row * rowBytes), (int)rowBytes));
                _stream.CopyToDevice(memory.At(first * rowBytes, count * rowBytes), buffer.Data, count * rowBytes);
                _copied[_turn].Record(_stream);
                _turn ^= 1;
            }

            return memory;
        }
        catch
        {
            _stream.Synchronize();
            memory.Dispose();
            throw;
        }
    }

    /// <summary>Waits for all copies.</summary>
    public void Finish() => _stream.Synchronize("loading weights");

    public void Dispose()
    {
        for (var i = _owned.Count - 1; i >= 0; i--) _owned[i].Dispose();
        _owned.Clear();
    }

    private T Own<T>(T owned)
        where T : IDisposable
    {
        _owned.Add(owned);
        return owned;
    }
}
