namespace Krewe.Control.Tiers;

/// <summary>What bringing bytes up from one tier costs at the moment, from that tier's own measurements.</summary>
/// <param name="StartSeconds">Before the first byte: a seek, a connection, a request's turn.</param>
/// <param name="BytesPerSecond">Measured while busy; what the tier is assumed to do until it was measured.</param>
/// <param name="QueuedBytes">Loads that were asked for earlier and go first.</param>
public readonly record struct LoadCost(double StartSeconds, double BytesPerSecond, long QueuedBytes = 0)
{
    /// <summary>Seconds until <paramref name="bytes"/> more are here: start + (queued + bytes) / bandwidth.</summary>
    public double Seconds(long bytes) => StartSeconds + ((QueuedBytes + bytes) / BytesPerSecond);
}
