namespace Krewe.Kernels.Cuda;

/// <summary>
/// Something of the driver's: used until it is given back, and given back once, whoever asks and how often. A context
/// that is lost has taken everything along, so nothing is said then: the call that lost it has told.
/// </summary>
public abstract class DriverHandle : IDisposable
{
    private nint _value;

    private protected DriverHandle(CudaDevice device, nint value) => (Device, _value) = (device, value);

    public CudaDevice Device { get; }

    /// <exception cref="ObjectDisposedException">It was given back.</exception>
    private protected nint Value
    {
        get
        {
            var value = Volatile.Read(ref _value);
            ObjectDisposedException.ThrowIf(value == 0, this);
            return value;
        }
    }

    /// <summary>The driver, with the context as the thread's current one.</summary>
    private protected DriverApi Api
    {
        get
        {
            Device.MakeCurrent();
            return Device.Api;
        }
    }

    public void Dispose()
    {
        var value = Interlocked.Exchange(ref _value, 0);
        GC.SuppressFinalize(this);
        if (value == 0) return;
        try
        {
            Release(value);
        }
        catch (CudaException lost) when (lost.IsContextLost)
        {
            // Freed with the context.
        }
    }

    private protected abstract void Release(nint value);
}
