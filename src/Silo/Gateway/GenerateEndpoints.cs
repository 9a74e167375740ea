using Krewe.Abstractions;
using Krewe.Silo.Access;
using Krewe.Silo.Cluster;
using Krewe.Silo.Gateway.Admission;
using Krewe.Silo.Gateway.Answers;
using Krewe.Silo.Gateway.Requests;
using Krewe.Silo.Telemetry;
using Microsoft.AspNetCore.Http;
using Orleans;

namespace Krewe.Silo.Gateway;

/// <summary>The endpoints that generate: one path, and a format for each.</summary>
internal sealed class GenerateEndpoints(
    AnswerKinds kinds, AnswerRuns runs, IGrainFactory grains, PeerGateway peers, SiloOptions options,
    Entropy entropy, RequestWatches watches, TimeProvider time)
{
    public RequestDelegate Of(AnswerKind kind) => context => GenerateAsync(context, kind);

    private async Task GenerateAsync(HttpContext context, AnswerKind kind)
    {
        using var watch = watches.Begin(context, kind);
        try
        {
            await AnswerAsync(context, watch, watch.Read(await ReadAsync(context, kind)));
            watch.Finished();
        }
        catch (Exception e)
        {
            watch.Failed(e);
            throw;
        }
    }

    private async Task<GenerationRequest> ReadAsync(HttpContext context, AnswerKind kind)
    {
        // :: Step 1
        using var step = SiloTrace.Step(1, "receive");
        var now = time.GetUtcNow();
        var headers = RequestHeaders.Read(context);
        // One that can be resumed may join an answer that is there and needs no place.
        if (!headers.IsResumable) runs.Glance(context.Caller().Tenant);
        var origin = new AnswerOrigin(kind, await RequestBody.ReadAsync(context));
        return TenantRules.Apply(
            kinds.Read(origin, new Arrival(
                headers.RequestId, entropy.NextSeed(), now, now + options.Cluster.RequestTimeout,
                headers.IsResumable ? origin.Write() : null, context.Caller().Tenant.Name)),
            context.Caller().Tenant);
    }

    private async Task AnswerAsync(HttpContext context, RequestWatch watch, GenerationRequest request)
    {
        if (!request.Stream)
        {
            await AnswerAsync(context, watch, request, stream: null);
            return;
        }

        await using var stream = new AnswerStream(context, request.Spec.RequestId, options, time);
        try
        {
            await AnswerAsync(context, watch, request, stream);
        }
        catch (Exception e) when (GrainAnswers.AsError(e, context.RequestAborted) is { } error)
        {
            await stream.FailAsync(error, () => kinds.Fail(request, error));
            throw;
        }
    }

    /// <param name="stream">Null for an answer in one piece.</param>
    private async Task AnswerAsync(
        HttpContext context, RequestWatch watch, GenerationRequest request, AnswerStream? stream)
    {
        if (await StartAsync(context, request, stream) is not { } run) return;
        watch.Started(run);
        try
        {
            using var step = SiloTrace.Step(9, "answer");
            var format = kinds.CreateFormat(run);
            if (stream is null)
            {
                context.Response.Headers[ErrorMiddleware.RequestIdHeader] = RequestIds.Outside(run.Id);
                BudgetHeaders.Write(context.Response, run.Budget);
                await AnswerWriter.WriteWholeAsync(context, run, format);
            }
            else
            {
                await AnswerWriter.WriteStreamAsync(stream, run, format, context.RequestAborted);
            }
        }
        finally
        {
            await AnswerRuns.LeaveAsync(run);
        }
    }

    /// <returns>Null when another silo owns this request's stream and has answered.</returns>
    private async Task<AnswerRun?> StartAsync(HttpContext context, GenerationRequest request, AnswerStream? stream)
    {
        try
        {
            return await runs.StartAsync(request, context.RequestAborted);
        }
        catch (KreweException e) when (e.Code == ErrorCode.DuplicateRequestId && request.Spec.Answer is not null)
        {
            if (await TryForwardAsync(context, request, stream)) return null;
            // Answered before, and this silo does not have the answer any more: it is made again, the same.
            var stored = await grains.GetGrain<IRequestGrain>(request.Spec.RequestId).GetSpecAsync();
            if (stored is null) throw;
            if (stored.Answer != request.Spec.Answer) throw KeptAnswers.Reused();
            return await runs.ResumeAsync(
                TenantRules.Apply(kinds.Read(stored, request.Spec.Deadline), request.Tenant));
        }
    }

    /// <summary>The owner of a stream keeps it alive itself.</summary>
    private async Task<bool> TryForwardAsync(HttpContext context, GenerationRequest request, AnswerStream? stream)
    {
        if (stream is not null) await stream.HoldAsync();
        var isAnswered = false;
        try
        {
            isAnswered = await peers.TryForwardAsync(context, request.Spec.RequestId, request.Origin!.Body);
            return isAnswered;
        }
        finally
        {
            stream?.Release(isAnswered);
        }
    }
}
