using Krewe.Abstractions;
using Krewe.Silo.Streams;

namespace Krewe.Silo.Telemetry;

/// <summary>
/// Times one sequence as this silo sees it: its workers' reports, its tokens, its end. Any thread; the links call it,
/// so it must be quick.
/// </summary>
internal sealed class SequenceWatch(RequestSpec spec, SiloMetrics metrics, TimeProvider time)
{
    private readonly Lock _gate = new();
    private long _lastToken;
    private DateTimeOffset? _firstTokenAt;
    private DateTimeOffset? _lastTokenAt;
    private DateTimeOffset? _prefillStartedAt;
    private DateTimeOffset? _prefillEndedAt;
    private DateTimeOffset? _decodeStartedAt;
    private DateTimeOffset? _migrationStartedAt;
    private bool _isEnded;

    private int _tokens;

    /// <summary>Output tokens that were taken.</summary>
    public int Tokens
    {
        get
        {
            lock (_gate) return _tokens;
        }
    }

    /// <summary>Null before the first token.</summary>
    public TimeSpan? Ttft
    {
        get
        {
            lock (_gate) return _firstTokenAt - spec.ArrivedAt;
        }
    }

    /// <summary>Mean time of a further token; null with fewer than two.</summary>
    public TimeSpan? Tpot
    {
        get
        {
            lock (_gate) return _tokens > 1 ? (_lastTokenAt - _firstTokenAt) / (_tokens - 1) : null;
        }
    }

    /// <summary>The owner took so many new tokens together: one gap between them and those before.</summary>
    public void TokensTaken(int count)
    {
        var (now, stamp) = (time.GetUtcNow(), time.GetTimestamp());
        metrics.OutputTokens.Add(count);
        lock (_gate)
        {
            if (_firstTokenAt is null)
            {
                _firstTokenAt = now;

                // The siblings of a choice start behind its first token, which is what their client has waited for.
                if (spec.Choice == 0) metrics.Ttft.Record(now - spec.ArrivedAt);
            }
            else
            {
                metrics.Itl.Record(time.GetElapsedTime(_lastToken, stamp));
            }

            (_lastTokenAt, _lastToken) = (now, stamp);
            _tokens += count;
        }
    }

    public void Reported(RequestReport report)
    {
        var now = time.GetUtcNow();
        lock (_gate)
        {
            switch (report.Kind)
            {
                case RequestReportKind.PrefillStarted:
                    BeginPrefill(report, now);
                    break;
                case RequestReportKind.PrefillFinished:
                    if (_prefillStartedAt is { } prefill) metrics.PrefillTime.Record(now - prefill);
                    _prefillEndedAt = now;
                    break;
                case RequestReportKind.HandoffCommitted:
                    // The workers tell by links of their own: a commit that overtakes the prefill's end cost no wait.
                    metrics.HandoffTime.Record(_prefillEndedAt is { } ended ? now - ended : TimeSpan.Zero);
                    metrics.MovedBytes.Of("handoff").Add(report.BytesMoved);
                    break;
                case RequestReportKind.DecodeStarted:
                    _decodeStartedAt ??= now;
                    break;
                case RequestReportKind.MigrationStarted:
                    _migrationStartedAt = now;
                    break;
                case RequestReportKind.MigrationCommitted:
                    if (_migrationStartedAt is { } began) metrics.MigrationTime.Record(now - began);
                    metrics.MovedBytes.Of("migration").Add(report.BytesMoved);
                    metrics.Migrations.Of("committed").Add();
                    break;
                case RequestReportKind.MigrationAborted:
                    metrics.Migrations.Of("aborted").Add();
                    break;
                case RequestReportKind.AttemptFailed or RequestReportKind.WorkerLost when !_isEnded:
                    metrics.FailedAttempts
                        .Of(ErrorCatalog.Describe(report.Error ?? ErrorCode.WorkerLost).Code).Add();
                    break;
                default:
                    break;
            }
        }
    }

    /// <summary>The stream has ended; told once.</summary>
    public void Ended(StreamEnd end)
    {
        var now = time.GetUtcNow();
        lock (_gate)
        {
            if (_isEnded) return;
            _isEnded = true;
        }

        // Choices share their prompt.
        if (spec.Sampling.Choice == 0) metrics.RequestPrompt.Record(spec.PromptTokens.Length);
        metrics.RequestOutput.Record(Tokens);
        if (end is StreamEnd.Finished finished)
        {
            metrics.Successes.Of(finished.Reason).Add();
            if (_decodeStartedAt is { } began) metrics.DecodeTime.Record(now - began);
            if (Tpot is { } tpot) metrics.Tpot.Record(tpot);
        }

        if (_firstTokenAt is { } first && _lastTokenAt is { } last)
        {
            SiloTrace.TellStep(
                8, "tokens", spec.TraceParent, first, last, ("krewe.request_id", spec.RequestId),
                ("krewe.choice", spec.Choice), ("gen_ai.usage.output_tokens", Tokens));
        }
    }

    private void BeginPrefill(RequestReport report, DateTimeOffset now)
    {
        if (_prefillStartedAt is null)
        {
            metrics.QueueTime.Record(now - spec.ArrivedAt);
            if (spec.Sampling.Choice == 0)
            {
                metrics.PromptTokens.Add(spec.PromptTokens.Length);
                metrics.CachedTokens.Add(report.PrefixHitTokens);
            }
        }

        (_prefillStartedAt, _prefillEndedAt) = (now, null);
    }
}
