using System.Diagnostics;

namespace Krewe.Silo.Telemetry;

/// <summary>
/// Spans of the gateway. Nothing is made while nobody listens. Children find their request by the ambient span inside
/// this process, and by <see cref="Abstractions.RequestSpec.TraceParent"/> in grains and workers.
/// </summary>
internal static class SiloTrace
{
    public const string SourceName = "Krewe.Silo";

    /// <summary>Attribute of each span that is one of the nine steps of docs/ARCHITECTURE.md.</summary>
    public const string StepTag = "krewe.step";

    private static readonly ActivitySource Source = new(SourceName);

    public static bool IsOn => Source.HasListeners();

    /// <summary>
    /// The request's own span. Its parent is what the client sent as "traceparent"; the host's ambient span, which is
    /// not exported, is not asked.
    /// </summary>
    public static Activity? BeginRequest(string name, string? traceParent, string? traceState)
    {
        if (!IsOn) return null;
        ActivityContext.TryParse(traceParent, traceState, isRemote: true, out var parent);
        Activity.Current = null;
        return Source.StartActivity(name, ActivityKind.Server, parent);
    }

    /// <summary>One of the nine steps, under the ambient span; null while nobody traces this request.</summary>
    public static Activity? Step(int step, string name) => Activity.Current is null
        ? null
        : Source.StartActivity(name)?.SetTag(StepTag, step);

    /// <summary>A step that is over, of a request that is known by its trace context.</summary>
    public static void TellStep(
        int step, string name, string? traceParent, DateTimeOffset start, DateTimeOffset end,
        params ReadOnlySpan<(string Key, object? Value)> tags)
    {
        if (traceParent is null || !ActivityContext.TryParse(traceParent, null, isRemote: true, out var parent)) return;
        using var span = Source.StartActivity(name, ActivityKind.Internal, parent, startTime: start);
        if (span is null) return;
        span.SetTag(StepTag, step);
        foreach (var (key, value) in tags) span.SetTag(key, value);
        span.SetEndTime(end.UtcDateTime);
    }
}
