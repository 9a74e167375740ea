using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Krewe.Abstractions;
using Krewe.Silo.Access;
using Krewe.Silo.Cluster;
using Krewe.Silo.Gateway.Admission;
using Krewe.Silo.Gateway.Answers;
using Krewe.Silo.Gateway.Json;
using Krewe.Silo.Hosting;
using Krewe.Silo.Links;
using Krewe.Silo.Streams;
using Microsoft.AspNetCore.Http;
using Orleans;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Gateway;

/// <summary>The endpoints that only tell: models, health, one request's life, the cluster.</summary>
internal sealed class InfoEndpoints(
    ServedModel model,
    ReadinessProbe probe,
    Door door,
    ClusterView view,
    RequestStreams streams,
    StreamCounters counters,
    IGrainFactory grains,
    IGrainHostStatistics statistics,
    SiloOptions options,
    ISiloRoster roster,
    TimeProvider time)
{
    public Task ModelsAsync(HttpContext context) =>
        WriteAsync(context, new ModelList([DescribeModel()]), GatewayJson.Instance.ModelList);

    public Task ModelAsync(HttpContext context)
    {
        var id = (string)context.Request.RouteValues["id"]!;
        if (id == model.Name) return WriteAsync(context, DescribeModel(), GatewayJson.Instance.ModelObject);
        throw new KreweException(
            ErrorCode.ModelNotFound,
            $"The model '{id}' does not exist. This server serves '{model.Name}'; see GET /v1/models.", "model");
    }

    public static Task LiveAsync(HttpContext context) =>
        WriteAsync(context, new HealthObject("ok"), GatewayJson.Instance.HealthObject);

    public async Task ReadyAsync(HttpContext context)
    {
        var reason = await probe.CheckAsync(context.RequestAborted);
        if (reason is not null) context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
        var health = new HealthObject(reason is null ? "ok" : "not_ready") { Reason = reason };
        await WriteAsync(context, health, GatewayJson.Instance.HealthObject);
    }

    /// <summary>A tenant's own request. Takes its id with or without what the answer's id puts before it.</summary>
    public Task RequestAsync(HttpContext context) =>
        DescribeAsync(context, id => RequestIds.Inside(context.Caller().Tenant, id), RequestIds.Outside);

    /// <summary>Anybody's request, by its id inside the cluster, for who operates it.</summary>
    public Task AnyRequestAsync(HttpContext context) => DescribeAsync(context, id => id, id => id);

    private async Task DescribeAsync(HttpContext context, Func<string, string> inside, Func<string, string> shown)
    {
        var asked = (string)context.Request.RouteValues["id"]!;
        var grain = grains.GetGrain<IRequestGrain>(inside(AnswerKinds.RequestIdOf(asked)));
        var record = await GrainAnswers.AskAsync(grain.GetRecordAsync, time) ?? throw new KreweException(
            ErrorCode.NotFound,
            $"No request '{asked}' is known. Each answer has its id in x-request-id; old ones are forgotten.",
            "id");
        await WriteAsync(context, Describe(record, shown(record.RequestId)), GatewayJson.Instance.RequestObject);
    }

    public async Task ClusterAsync(HttpContext context)
    {
        var cluster = new ClusterObject
        {
            SiloId = options.SiloId,
            GrainHost = statistics.HostName,
            Silos = [.. roster.Silos.Select(silo => new SiloObject(silo.SiloId, silo.Link, silo.Gateway))],
            Activations = await statistics.CountActivationsAsync(),
            Model = model.Name,
            OpenStreams = streams.Count,
            Draining = door.IsDraining,
            Tokens = new TokenCounts(
                counters.Accepted, counters.Duplicate, counters.Stale, counters.Early, counters.Late,
                counters.Contradicting),
            Workers = [.. view.Links.Select(Describe)],
        };
        await WriteAsync(context, cluster, GatewayJson.Instance.ClusterObject);
    }

    private ModelObject DescribeModel() =>
        new(model.Name, model.CreatedAt.ToUnixTimeSeconds(), "krewe", model.Name, model.MaxContextTokens);

    internal static RequestObject Describe(RequestRecord record, string id)
    {
        var arrivedAt = record.Log.Length > 0 ? record.Log.Min(entry => entry.At) : default;
        return new RequestObject
        {
            Id = id,
            Model = record.Model,
            Phase = record.Phase,
            Outcome = record.Outcome?.ToString().ToLowerInvariant(),
            FinishReason = record.FinishReason,
            Error = record.Error is { } code
                ? ErrorWriter.ToObject(new KreweException(code, record.ErrorMessage ?? "")).Error
                : null,
            Epoch = record.Epoch,
            PromptTokens = record.PromptTokens,
            OutputTokens = record.OutputTokens,
            Seed = record.Seed,
            Plan = record.Plan is { } plan
                ? new PlanObject(plan.Prefill.ToString(), plan.Decode.ToString(), plan.PrefixHitTokens, plan.Reason)
                : null,
            BlocksMoved = record.BlocksMoved,
            BytesMoved = record.BytesMoved,
            Migrations = record.Migrations,
            ArrivedAt = arrivedAt,
            Steps =
            [
                .. record.Log.Select(entry => new StepObject(
                    entry.Step, (entry.At - arrivedAt).TotalMilliseconds, entry.Epoch, entry.WorkerId, entry.What)),
            ],
        };
    }

    internal static WorkerObject Describe(WorkerLink link) => new()
    {
        Id = link.Worker.WorkerId,
        Incarnation = link.Worker.Incarnation.ToString("x16", CultureInfo.InvariantCulture),
        Role = link.Descriptor.Role.ToString().ToLowerInvariant(),
        State = link.View.State.ToString().ToLowerInvariant(),
        Pid = link.Descriptor.ProcessId,
        LinkEpoch = link.LinkEpoch,
        Numerics = link.Descriptor.Numerics,
        Attempts = link.AttemptCount,
        Load = link.Load is { } load ? Describe(load) : null,
    };

    private static LoadObject Describe(Wire.LoadReport load) => new()
    {
        Sequence = load.Sequence,
        TotalBlocks = load.TotalBlocks,
        FreeBlocks = load.FreeBlocks,
        EvictableBlocks = load.EvictableBlocks,
        PinnedBlocks = load.PinnedBlocks,
        Leases = load.Leases,
        RunningSequences = load.RunningSequences,
        WaitingSequences = load.WaitingSequences,
        WaitingTokens = load.WaitingTokens,
        Steps = load.Steps,
        PrefillTokens = load.PrefillTokens,
        DecodeTokens = load.DecodeTokens,
        StepMs = load.StepMs,
        Tiers = TierObject.From(load.Tiers),
        Migrations = load.Migrations,
        MigratedIn = load.MigratedIn,
        MigratedOut = load.MigratedOut,
    };

    private static Task WriteAsync<T>(HttpContext context, T value, JsonTypeInfo<T> type) =>
        ErrorWriter.WriteJsonAsync(context.Response, JsonSerializer.SerializeToUtf8Bytes(value, type));
}
