using System.Collections.Concurrent;
using Krewe.Control.Metrics;
using Orleans;

namespace Krewe.Silo.Telemetry;

/// <summary>Counts and times the calls that this silo's grains answer, on both grain hosts.</summary>
internal sealed class GrainCallMeter(SiloMetrics metrics, TimeProvider time) : IIncomingGrainCallFilter
{
    private readonly ConcurrentDictionary<(Type Grain, string Method), GrainMethodMeter> _methods = [];

    /// <summary>Every method that was called so far.</summary>
    public IEnumerable<GrainMethodMeter> Methods => _methods.Values;

    public async Task Invoke(IIncomingGrainCallContext context)
    {
        var grain = context.Grain.GetType();

        // Orleans' own grains are its dashboard's.
        if (grain.Namespace?.StartsWith("Krewe", StringComparison.Ordinal) != true)
        {
            await context.Invoke();
            return;
        }

        var meter = _methods.GetOrAdd(
            (grain, context.MethodName), static (key, all) => new GrainMethodMeter(key.Grain.Name, key.Method, all),
            metrics);
        var began = time.GetTimestamp();
        var isAnswered = false;
        try
        {
            await context.Invoke();
            isAnswered = true;
        }
        finally
        {
            meter.Record(time.GetElapsedTime(began), isAnswered);
        }
    }
}

/// <summary>The calls of one grain method.</summary>
internal sealed class GrainMethodMeter(string grain, string method, SiloMetrics metrics)
{
    private readonly CounterSeries _ok = metrics.GrainCalls.Of(grain, "ok");
    private readonly CounterSeries _error = metrics.GrainCalls.Of(grain, "error");
    private readonly HistogramSeries _time = metrics.GrainCallTime.Of(grain);
    private long _calls;
    private long _errors;
    private long _ticks;

    public string Grain => grain;

    public string Method => method;

    public long Calls => Interlocked.Read(ref _calls);

    public long Errors => Interlocked.Read(ref _errors);

    /// <summary>Of all calls together.</summary>
    public TimeSpan TimeSpent => TimeSpan.FromTicks(Interlocked.Read(ref _ticks));

    public void Record(TimeSpan took, bool isAnswered)
    {
        Interlocked.Increment(ref _calls);
        Interlocked.Add(ref _ticks, took.Ticks);
        if (!isAnswered) Interlocked.Increment(ref _errors);
        (isAnswered ? _ok : _error).Add();
        _time.Record(took);
    }
}
