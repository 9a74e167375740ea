namespace Krewe.KvStore;

/// <summary>
/// Bytes a second of a tier while it is busy: idle time does not count, and overlapping loads share the time that they
/// share. Old measurements fade, so the figure follows the present load.
/// </summary>
internal sealed class BandwidthMeter(long assumedBytesPerSecond, TimeProvider time)
{
    private const long TrustedBytes = 1 << 20;
    private static readonly TimeSpan Window = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private int _inFlight;
    private long _busySince;
    private double _bytes;
    private double _seconds;

    /// <summary>Bytes a second; null until enough was moved to tell.</summary>
    public double? Measured
    {
        get
        {
            lock (_gate) return _bytes >= TrustedBytes && _seconds > 0 ? _bytes / _seconds : null;
        }
    }

    /// <summary>Bytes a second: measured, or assumed until then.</summary>
    public double BytesPerSecond => Measured ?? assumedBytesPerSecond;

    public void Begin()
    {
        lock (_gate)
        {
            if (_inFlight++ == 0) _busySince = time.GetTimestamp();
        }
    }

    /// <param name="bytes">Bytes moved; zero for a load that failed.</param>
    public void End(long bytes)
    {
        lock (_gate)
        {
            var now = time.GetTimestamp();
            _seconds += time.GetElapsedTime(_busySince, now).TotalSeconds;
            _busySince = now;
            _inFlight--;
            _bytes += bytes;
            if (_seconds <= Window.TotalSeconds) return;
            _bytes /= 2;
            _seconds /= 2;
        }
    }
}
