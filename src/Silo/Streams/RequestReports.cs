using System.Diagnostics.CodeAnalysis;
using Krewe.Abstractions;
using Krewe.Silo.Telemetry;
using Microsoft.Extensions.Logging;

namespace Krewe.Silo.Streams;

/// <summary>
/// Tells one request's grain its state changes, in order, without making a link wait for a grain's turn. Lives as long
/// as an attempt of the request is on a worker, which may be longer than the client's stream.
/// </summary>
/// <param name="watch">Told everything too; null = nobody times the sequence.</param>
internal sealed partial class RequestReports(
    IRequestGrain grain, string requestId, ILogger log, SequenceWatch? watch = null)
{
    private readonly Lock _gate = new();
    private readonly Queue<RequestReport> _waiting = new();
    private bool _isTelling;

    /// <summary>
    /// Prompt tokens that the first attempt found in a prefix cache; null until its prefill has started.
    /// </summary>
    public int? PrefixHitTokens { get; private set; }

    public void Send(RequestReport report)
    {
        watch?.Reported(report);
        lock (_gate)
        {
            if (report.Kind == RequestReportKind.PrefillStarted) PrefixHitTokens ??= report.PrefixHitTokens;
            _waiting.Enqueue(report);
            if (_isTelling) return;
            _isTelling = true;
        }

        // A report may arise inside a turn of this very grain (a dispatch whose link is gone). Its call must not look
        // like part of that turn, or the grain host takes it for a call cycle.
        using (ExecutionContext.SuppressFlow()) _ = Task.Run(TellAsync);
    }

    [SuppressMessage("Design", "CA1031", Justification =
        "A grain call can fail in any way its host has; the next report must be told all the same.")]
    private async Task TellAsync()
    {
        while (TryTake() is { } report)
        {
            try
            {
                await grain.ReportAsync(report);
            }
            catch (Exception e)
            {
                ReportLost(log, e, requestId, report.Kind);
            }
        }
    }

    private RequestReport? TryTake()
    {
        lock (_gate)
        {
            if (_waiting.TryDequeue(out var report)) return report;
            _isTelling = false;
            return null;
        }
    }

    [LoggerMessage(10, LogLevel.Warning, "The grain of request {RequestId} could not be told {Kind}")]
    private static partial void ReportLost(ILogger log, Exception error, string requestId, RequestReportKind kind);
}
