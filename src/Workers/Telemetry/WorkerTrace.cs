using System.Diagnostics;

namespace Krewe.Workers;

/// <summary>Spans of a worker, told when they are over. Nothing is made while nobody listens.</summary>
internal static class WorkerTrace
{
    private static readonly ActivitySource Source = new("Krewe.Workers");

    public static bool IsOn => Source.HasListeners();

    /// <summary>A part of a traced request that has ended.</summary>
    /// <param name="parent">The request's span.</param>
    /// <param name="step">Of the nine in docs/ARCHITECTURE.md; null for a side door.</param>
    /// <param name="name">What was done.</param>
    /// <param name="start">UTC.</param>
    /// <param name="end">UTC.</param>
    /// <param name="error">The error's code when it came to nothing.</param>
    /// <param name="tags">What else is known.</param>
    public static void Tell(
        ActivityContext parent, int? step, string name, DateTimeOffset start, DateTimeOffset end, string? error,
        params ReadOnlySpan<(string Key, object? Value)> tags)
    {
        using var span = Source.StartActivity(name, ActivityKind.Internal, parent, startTime: start);
        if (span is null) return;
        if (step is { } number) span.SetTag("krewe.step", number);
        foreach (var (key, value) in tags) span.SetTag(key, value);
        if (error is not null) span.SetTag("error.type", error).SetStatus(ActivityStatusCode.Error);
        span.SetEndTime(end.UtcDateTime);
    }
}
