using System.Globalization;
using Krewe.Abstractions;
using Krewe.Control.Access;
using Krewe.Silo.Access;
using Krewe.Silo.Cluster;
using Krewe.Silo.Gateway.Answers;
using Krewe.Silo.Gateway.Requests;
using Microsoft.AspNetCore.Http;
using Orleans;

namespace Krewe.Silo.Gateway;

/// <summary>
/// GET /v1/requests/{id}/stream: an answer's events behind the one that the client has. They are the very bytes that
/// the lost connection would have carried.
/// </summary>
internal sealed class ResumeEndpoint(
    AnswerKinds kinds, AnswerRuns runs, PeerGateway peers, IGrainFactory grains, SiloOptions options,
    TimeProvider time)
{
    private const string LastEventId = "Last-Event-ID";

    public async Task ResumeAsync(HttpContext context)
    {
        var id = AnswerKinds.RequestIdOf((string)context.Request.RouteValues["id"]!);
        var after = ReadLastEventId(context.Request);
        var tenant = context.Caller().Tenant;
        var inside = RequestIds.Inside(tenant, id);
        if (runs.Find(inside) is null && await peers.TryForwardAsync(context, inside)) return;
        await using var stream = new AnswerStream(context, inside, options, time, after);
        try
        {
            await ResumeAsync(stream, await FindAsync(inside, id, tenant), context.RequestAborted);
        }
        catch (Exception e) when (GrainAnswers.AsError(e, context.RequestAborted) is { } error)
        {
            await stream.FailAsync(error, () => [ErrorWriter.ToEvent(error), AnswerEvent.Done]);
            throw;
        }
    }

    private async Task ResumeAsync(AnswerStream stream, AnswerRun run, CancellationToken aborted)
    {
        try
        {
            await AnswerWriter.WriteStreamAsync(stream, run, kinds.CreateFormat(run), aborted);
        }
        finally
        {
            await AnswerRuns.LeaveAsync(run);
        }
    }

    private async Task<AnswerRun> FindAsync(string id, string asked, TenantPolicy tenant)
    {
        if (runs.Find(id) is { } known)
        {
            var run = await known;
            run.Attach();
            return run;
        }

        var spec = await GrainAnswers.AskAsync(grains.GetGrain<IRequestGrain>(id).GetSpecAsync, time)
            ?? throw new KreweException(
            ErrorCode.NotFound,
            $"No request '{asked}' can be resumed. Only those are that were sent with an Idempotency-Key or with "
            + $"'{RequestHeaders.Resumable}: true', and old ones are forgotten.",
            "id");
        var now = time.GetUtcNow();
        var deadline = now + options.Cluster.RequestTimeout;
        return await runs.ResumeAsync(TenantRules.Apply(kinds.Read(spec, deadline), tenant));
    }

    private static long ReadLastEventId(HttpRequest request)
    {
        var values = request.Headers[LastEventId];
        if (values.Count == 0) return 0;
        if (values is [{ } value]
            && long.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number))
            return number;
        throw new KreweException(
            ErrorCode.InvalidRequest, $"'{LastEventId}' must be the id of an event of this stream, a number from 1.",
            LastEventId);
    }
}
