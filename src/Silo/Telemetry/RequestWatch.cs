using System.Diagnostics;
using Krewe.Abstractions;
using Krewe.Silo.Access;
using Krewe.Silo.Gateway.Answers;
using Krewe.Silo.Gateway.Requests;
using Microsoft.AspNetCore.Http;

namespace Krewe.Silo.Telemetry;

/// <summary>
/// One generating HTTP request from its first byte to its last: its span, its place among the recent ones, its outcome
/// in the metrics, once.
/// </summary>
internal sealed class RequestWatch : IDisposable
{
    private readonly SiloMetrics _metrics;
    private readonly SiloOptions _options;
    private readonly RecentRequests _recent;
    private readonly TimeProvider _time;
    private readonly Activity? _span;
    private readonly RecentRequest _entry;
    private readonly bool _isChat;
    private RequestEnding _ending = new("failed", "internal");

    public RequestWatch(
        HttpContext context, AnswerKind kind, SiloMetrics metrics, SiloOptions options, RecentRequests recent,
        TimeProvider time)
    {
        (_metrics, _options, _recent, _time) = (metrics, options, recent, time);
        _isChat = kind != AnswerKind.Text;
        _span = SiloTrace.BeginRequest(
            Operation, context.Request.Headers["traceparent"], context.Request.Headers["tracestate"]);
        _entry = new RecentRequest(context.TraceIdentifier, kind, time.GetUtcNow());
        _recent.Begin(_entry);
    }

    private string Operation => _isChat ? "chat" : "text_completion";

    /// <summary>The request was understood: it goes on with the trace's context.</summary>
    public GenerationRequest Read(GenerationRequest request)
    {
        _entry.Read(request);
        if (_span is null) return request;
        Describe(_span, request);
        return request with { Specs = [.. request.Specs.Select(spec => spec with { TraceParent = _span.Id })] };
    }

    /// <summary>It was let in and is computed.</summary>
    public void Started(AnswerRun run) => _entry.Run = run;

    /// <summary>The last byte was written.</summary>
    public void Finished() => _ending = new RequestEnding("finished", null);

    /// <summary>It ended with this error instead.</summary>
    public void Failed(Exception error) => _ending = RequestEnding.Of(error, wasLetIn: _entry.Run is not null);

    public void Dispose()
    {
        var now = _time.GetUtcNow();
        _metrics.Requests.Of(_entry.Kind.ToString().ToLowerInvariant(), _ending.Outcome).Add();
        if (_ending is { Outcome: RequestEnding.Refused, Code: { } code }) _metrics.Refusals.Of(code).Add();
        if (_ending.Outcome == RequestEnding.FinishedOutcome) CountFinished(now);
        EndSpan();
        // Last: whoever sees it ended sees it counted.
        _entry.End(_ending, now);
        _recent.End(_entry);
        _entry.Forget();
    }

    private void CountFinished(DateTimeOffset now)
    {
        _metrics.Duration.Record(now - _entry.ArrivedAt);
        var isLate = _options.TtftSlo is { } ttft && _entry.Ttft > ttft;
        var isSlow = _options.TpotSlo is { } tpot && _entry.Tpot > tpot;
        if (isLate) _metrics.SloMissed.Of("ttft").Add();
        if (isSlow) _metrics.SloMissed.Of("tpot").Add();
        if (!isLate && !isSlow) _metrics.Good.Add();
    }

    private void Describe(Activity span, GenerationRequest request)
    {
        var (spec, sampling) = (request.Spec, request.Spec.Sampling);
        span.DisplayName = $"{Operation} {spec.Model}";
        span.SetTag("gen_ai.operation.name", Operation)
            .SetTag("gen_ai.provider.name", "krewe")
            .SetTag("gen_ai.request.model", spec.Model)
            .SetTag("gen_ai.response.model", spec.Model)
            .SetTag("gen_ai.response.id", AnswerKinds.IdPrefixOf(_entry.Kind) + RequestIds.Outside(spec.RequestId))
            .SetTag("gen_ai.request.max_tokens", spec.MaxOutputTokens)
            .SetTag("gen_ai.request.temperature", sampling.Temperature)
            .SetTag("gen_ai.request.top_p", sampling.TopP)
            .SetTag("gen_ai.request.choice.count", request.Choices)
            .SetTag("krewe.request_id", spec.RequestId)
            .SetTag("krewe.stream", request.Stream);
    }

    private void EndSpan()
    {
        if (_span is null) return;
        if (_entry.Run is { } run)
        {
            var usage = run.UsageOf(_entry.OutputTokens);
            _span.SetTag("gen_ai.usage.input_tokens", usage.PromptTokens)
                .SetTag("gen_ai.usage.output_tokens", _entry.OutputTokens)
                .SetTag("gen_ai.response.finish_reasons", run.FinishReasons);
        }

        if (_ending.Code is { } code)
            _span.SetTag("error.type", code).SetStatus(ActivityStatusCode.Error, _ending.Outcome);
        _span.Dispose();
    }
}

/// <summary>Makes watches.</summary>
internal sealed class RequestWatches(
    SiloMetrics metrics, SiloOptions options, RecentRequests recent, TimeProvider time)
{
    public RequestWatch Begin(HttpContext context, AnswerKind kind) =>
        new(context, kind, metrics, options, recent, time);
}
