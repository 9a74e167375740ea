namespace Krewe.Control.Routing;

/// <summary>
/// What came lately: requests, their prompt tokens and their prefill work, each with a weight that falls by e in ten
/// seconds.
/// </summary>
/// <remarks>Ten seconds: long against one prefill, so that it is not noise; short against a change of load.</remarks>
internal sealed class OfferedLoad
{
    private const double MemoryMs = 10_000;

    private double _requests;
    private double _tokens;
    private double _workMs;
    private long _lastUs;

    public double RequestsPerMs => _requests / MemoryMs;

    public double TokensPerMs => _tokens / MemoryMs;

    /// <summary>Workers that the lately admitted prefill work, and this, keeps busy.</summary>
    public double BusyWorkersWith(double workMs) => (_workMs + workMs) / MemoryMs;

    public void Pass(long nowUs)
    {
        var left = Math.Exp(-Math.Max(0, nowUs - _lastUs) / 1000.0 / MemoryMs);
        _lastUs = Math.Max(_lastUs, nowUs);
        _requests *= left;
        _tokens *= left;
        _workMs *= left;
    }

    public void Count(int tokens, double workMs)
    {
        _requests++;
        _tokens += tokens;
        _workMs += workMs;
    }
}
