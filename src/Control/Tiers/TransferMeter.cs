namespace Krewe.Control.Tiers;

/// <summary>
/// What moving bytes from one place takes, from the moves that were seen: time = start + bytes / bandwidth. The start
/// is the shortest move seen; old moves fade, so that the figure follows the present load.
/// </summary>
public sealed class TransferMeter(double assumedBytesPerSecond, TimeSpan assumedStart)
{
    /// <summary>Moves together longer than this fade by half.</summary>
    private const double WindowSeconds = 1;

    private double _bytes;
    private double _seconds;
    private TimeSpan? _start;

    public double BytesPerSecond => _seconds > 0 ? _bytes / _seconds : assumedBytesPerSecond;

    public void Add(long bytes, TimeSpan duration)
    {
        if (bytes <= 0 || duration <= TimeSpan.Zero) return;
        if (_start is null || duration < _start) _start = duration < assumedStart ? duration : assumedStart;
        _bytes += bytes;
        _seconds += duration.TotalSeconds;
        if (_seconds <= WindowSeconds) return;
        _bytes /= 2;
        _seconds /= 2;
    }

    public TimeSpan Estimate(long bytes) => (_start ?? assumedStart) + TimeSpan.FromSeconds(bytes / BytesPerSecond);
}
