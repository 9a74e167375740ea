using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Krewe.Abstractions;
using Krewe.Control.Access;
using Krewe.Control.Routing;
using Krewe.Silo.Access;
using Krewe.Silo.Gateway;
using Krewe.Silo.Gateway.Admission;
using Krewe.Silo.Gateway.Answers;
using Krewe.Silo.Hosting;
using Krewe.Silo.Links;
using Krewe.Silo.Telemetry;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Orleans;

namespace Krewe.Silo.Dashboard;

/// <summary>The page at /dashboard and what it asks for below /dashboard/api.</summary>
internal sealed class DashboardEndpoints(
    SnapshotRing ring, RecentRequests recent, GrainCallMeter calls, GrainCensus census, ClusterView view, Door door,
    MigrationAgent agent, ServedModel model, IGrainHostStatistics statistics, IGrainFactory grains,
    SiloOptions options, TimeProvider time)
{
    private readonly long _startedAt = time.GetTimestamp();

    /// <summary>The page's files are for everybody, what it shows is for operators.</summary>
    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/dashboard/{**path}", (RequestDelegate)DashboardFiles.ServeAsync).OpenToAll();
        var api = routes.MapGroup("/dashboard/api").RequireRole(AccessRoles.Operator);
        api.MapGet("/history", (RequestDelegate)HistoryAsync);
        api.MapGet("/state", (RequestDelegate)StateAsync);
        api.MapGet("/requests", (RequestDelegate)RequestsAsync);
        api.MapGet("/requests/{id}", (RequestDelegate)RequestAsync);
        api.MapGet("/grains", (RequestDelegate)GrainsAsync);
    }

    /// <summary>GET /dashboard/api/history[?after=ms]: snapshots behind that moment.</summary>
    private Task HistoryAsync(HttpContext context)
    {
        var text = context.Request.Query["after"].ToString();
        var after = 0L;
        if (text.Length > 0 && !long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out after))
        {
            throw new KreweException(
                ErrorCode.InvalidRequest, $"'after' is '{text}'; it must be a time in milliseconds since 1970.",
                "after");
        }

        var snapshots = ring.After(DateTimeOffset.FromUnixTimeMilliseconds(Math.Min(after, 253402300799999)));
        var series = new Dictionary<string, double?[]>(StringComparer.Ordinal);
        for (var i = 0; i < SnapshotSeries.Names.Length; i++)
        {
            var column = snapshots.Select(snapshot => Rounded(snapshot.Values[i])).ToArray();
            // A role that no worker has needs no column of nothing.
            if (i < SnapshotSeries.Silo.Length || column.Any(value => value is not null))
                series[SnapshotSeries.Names[i]] = column;
        }

        return WriteAsync(
            context, new HistoryObject([.. snapshots.Select(one => one.At.ToUnixTimeMilliseconds())], series),
            DashboardJson.Default.HistoryObject);
    }

    private Task StateAsync(HttpContext context) => WriteAsync(
        context, new StateObject
        {
            At = time.GetUtcNow(),
            SiloId = options.SiloId,
            Version = SiloMetrics.Version,
            GrainHost = statistics.HostName,
            Model = model.Name,
            Policy = options.RoutingPolicy ?? RoutingPolicies.Default,
            UptimeSeconds = time.GetElapsedTime(_startedAt).TotalSeconds,
            Draining = door.IsDraining,
            TtftSloMs = options.TtftSlo?.TotalMilliseconds,
            TpotSloMs = options.TpotSlo?.TotalMilliseconds,
            Inside = door.InsideCount,
            Queued = recent.QueuedCount,
            MemoryBytes = Environment.WorkingSet,
            CpuSeconds = Environment.CpuUsage.TotalTime.TotalSeconds,
            OrleansDashboard = OrleansPage.Path,
            Workers = [.. view.Links.Select(Describe)],
        },
        DashboardJson.Default.StateObject);

    private Task RequestsAsync(HttpContext context) => WriteAsync(
        context, new RequestList([.. recent.List().Select(Describe)]), DashboardJson.Default.RequestList);

    /// <summary>GET /dashboard/api/requests/{id}[?choice=n].</summary>
    private async Task RequestAsync(HttpContext context)
    {
        var id = AnswerKinds.RequestIdOf((string)context.Request.RouteValues["id"]!);
        _ = int.TryParse(context.Request.Query["choice"], CultureInfo.InvariantCulture, out var choice);
        var grain = grains.GetGrain<IRequestGrain>(RequestSpec.GrainKeyOf(id, choice));
        var record = await grain.GetRecordAsync() ?? throw new KreweException(
            ErrorCode.NotFound, $"No request '{id}' is known here; one that was refused has no life, old ones are "
                + "forgotten.", "id");
        var now = time.GetUtcNow();
        var request = InfoEndpoints.Describe(record, record.RequestId);
        await WriteAsync(
            context,
            new TimelineObject(
                request, RequestTimeline.Of(record, now), (now - request.ArrivedAt).TotalMilliseconds),
            DashboardJson.Default.TimelineObject);
    }

    private Task GrainsAsync(HttpContext context) => WriteAsync(
        context, new GrainsObject
        {
            GrainHost = statistics.HostName,
            Activations = census.Activations,
            Methods =
            [
                .. calls.Methods.OrderBy(method => method.Grain, StringComparer.Ordinal)
                    .ThenBy(method => method.Method, StringComparer.Ordinal)
                    .Select(method => new GrainMethodRow(
                        method.Grain, method.Method, method.Calls, method.Errors,
                        method.TimeSpent.TotalMilliseconds / Math.Max(1, method.Calls))),
            ],
        },
        DashboardJson.Default.GrainsObject);

    private DashboardWorker Describe(WorkerLink link) => new(
        agent.Wishes.GetValueOrDefault(link.Worker.WorkerId, WorkerWish.Serve).ToString().ToLowerInvariant(),
        InfoEndpoints.Describe(link))
    {
        Model = link.Descriptor.ModelName,
        BlockTokens = link.Descriptor.BlockTokens,
    };

    private static RequestRow Describe(RecentRequest request) => new()
    {
        Id = request.Id,
        Kind = request.Kind.ToString().ToLowerInvariant(),
        ArrivedAt = request.ArrivedAt,
        DurationMs = (request.EndedAt - request.ArrivedAt)?.TotalMilliseconds,
        State = request.Ending?.Outcome ?? "running",
        Code = request.Ending?.Code,
        PromptTokens = request.PromptTokens,
        OutputTokens = request.OutputTokens,
        Sequences = request.Sequences,
        Stream = request.IsStreamed,
        TtftMs = request.Ttft?.TotalMilliseconds,
        TpotMs = request.Tpot?.TotalMilliseconds,
    };

    private static double? Rounded(double? value) => value is { } number ? Math.Round(number, 4) : null;

    private static Task WriteAsync<T>(HttpContext context, T value, JsonTypeInfo<T> type)
    {
        context.Response.Headers.CacheControl = "no-store";
        return ErrorWriter.WriteJsonAsync(context.Response, JsonSerializer.SerializeToUtf8Bytes(value, type));
    }
}
