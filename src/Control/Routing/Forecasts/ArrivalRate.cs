namespace Krewe.Control.Routing;

/// <summary>Requests a ms lately: each counts with a weight that falls by e in ten seconds.</summary>
/// <remarks>Ten seconds: long against one prefill, so that it is not noise; short against a change of load.</remarks>
internal sealed class ArrivalRate
{
    private const double MemoryMs = 10_000;

    private double _weight;
    private long _lastUs;

    /// <summary>Counts one arrival and returns the rate with it.</summary>
    public double Observe(long nowUs)
    {
        var passedMs = Math.Max(0, nowUs - _lastUs) / 1000.0;
        _lastUs = Math.Max(_lastUs, nowUs);
        _weight = (_weight * Math.Exp(-passedMs / MemoryMs)) + 1;
        return _weight / MemoryMs;
    }
}
