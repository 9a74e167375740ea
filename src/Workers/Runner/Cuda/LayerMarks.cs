using Krewe.Abstractions;
using Krewe.Kernels.Cuda;

namespace Krewe.Workers;

/// <summary>
/// What has to have run before a layer's KV is stored: the newest mark that covers it. A step marks its layers one by
/// one where somebody waits for them, else all at once at its end. Any thread.
/// </summary>
internal sealed class LayerMarks : IDisposable
{
    private readonly Lock _gate = new();
    private readonly CudaEvent _whole;
    private readonly CudaEvent[] _layers;

    /// <summary>Number of the newest mark of each layer, and of all.</summary>
    private readonly long[] _marks;
    private long _wholeMark;
    private long _count;

    public LayerMarks(CudaDevice device, int layers)
    {
        _layers = new CudaEvent[layers];
        _marks = new long[layers];
        _whole = device.CreateEvent();
        try
        {
            for (var layer = 0; layer < layers; layer++) _layers[layer] = device.CreateEvent();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public void Mark(CudaStream compute, int layer)
    {
        lock (_gate)
        {
            _layers[layer].Record(compute);
            _marks[layer] = ++_count;
        }
    }

    public void MarkAll(CudaStream compute)
    {
        lock (_gate)
        {
            _whole.Record(compute);
            _wholeMark = ++_count;
        }
    }

    /// <summary>The event behind which all of the slices' layers are stored. One stream records all marks, so the
    /// newest of them stands for the others.</summary>
    public CudaEvent Of(ReadOnlySpan<BlockSlice> slices, in KvGeometry geometry)
    {
        lock (_gate)
        {
            var (newest, mark) = (_whole, _wholeMark);
            foreach (var slice in slices)
            {
                var last = (slice.Start + slice.Length - 1) / geometry.LayerBytes;
                for (var layer = slice.Start / geometry.LayerBytes; layer <= last; layer++)
                {
                    if (_marks[layer] > mark) (newest, mark) = (_layers[layer], _marks[layer]);
                }
            }

            return newest;
        }
    }

    public void Dispose()
    {
        foreach (var layer in _layers) layer?.Dispose();
        _whole.Dispose();
    }
}
