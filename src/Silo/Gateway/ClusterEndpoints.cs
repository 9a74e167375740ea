using System.Text.Json;
using Krewe.Abstractions;
using Krewe.Silo.Access;
using Krewe.Silo.Gateway.Json;
using Krewe.Silo.Links;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Orleans;

namespace Krewe.Silo.Gateway;

/// <summary>What an operator, or a controller, may do to the cluster: move a request, empty a worker, stop
/// it.</summary>
internal sealed class ClusterEndpoints(ClusterView view, MigrationAgent agent, IGrainFactory grains)
{
    private const double GraceUsualSeconds = 25;

    /// <summary>
    /// POST with {"target": "worker id"}: moves a running request there, live; of several choices the one that "choice"
    /// names, the first without it.
    /// </summary>
    public async Task MigrateAsync(HttpContext context)
    {
        var (id, order) = ((string)context.Request.RouteValues["id"]!, await ReadAsync(context));
        var target = Demand(order.Target).Worker;
        var why = await RequestOf(id, order).MigrateAsync(target, "an operator asked for it");
        await WriteAsync(context, new ClusterActionObject(id, why is null, why));
    }

    /// <summary>
    /// POST with {"target": "worker id"}: the request leaves that worker at once and is computed again elsewhere.
    /// </summary>
    public async Task RecomputeAsync(HttpContext context)
    {
        var (id, order) = ((string)context.Request.RouteValues["id"]!, await ReadAsync(context));
        await RequestOf(id, order).EvictAsync(Demand(order.Target).Worker, "an operator asked for it");
        await WriteAsync(context, new ClusterActionObject(id, true, null));
    }

    /// <summary>
    /// POST .../cordon, uncordon, drain (empties it, it stays), role (empties it and
    /// changes its phases; with {"role": ...}), stop (empties it, its process ends; with
    /// {"grace_seconds": n}).
    /// </summary>
    public async Task ActOnWorkerAsync(HttpContext context)
    {
        var id = (string)context.Request.RouteValues["id"]!;
        var action = (string)context.Request.RouteValues["action"]!;
        var link = view.Find(id) ?? throw new KreweException(
            ErrorCode.NotFound, $"No worker '{id}' is linked; see GET /v1/cluster.", "id");
        var order = await ReadAsync(context);
        switch (action)
        {
            case "cordon": await agent.SetWishAsync(id, WorkerWish.Cordon); break;
            case "uncordon": await agent.SetWishAsync(id, WorkerWish.Serve); break;
            case "drain": await agent.SetWishAsync(id, WorkerWish.Drain); break;
            case "role":
                await SwitchRoleAsync(context, id, order);
                return;
            case "stop": link.TryDrain(TimeSpan.FromSeconds(order.GraceSeconds ?? GraceUsualSeconds)); break;
            default:
                throw new KreweException(
                    ErrorCode.NotFound,
                    $"A worker cannot be told to '{action}'; use cordon, uncordon, drain, role or stop.");
        }

        await WriteAsync(context, new ClusterActionObject(id, true, null));
    }

    private async Task SwitchRoleAsync(HttpContext context, string id, ClusterActionRequest order)
    {
        if (!Enum.TryParse<WorkerRole>(order.Role, ignoreCase: true, out var role) || !Enum.IsDefined(role))
        {
            throw new KreweException(
                ErrorCode.InvalidRequest, $"'role' is '{order.Role}'; use prefill, decode or mixed.", "role");
        }

        var limit = TimeSpan.FromSeconds(order.GraceSeconds ?? GraceUsualSeconds);
        var isDone = await agent.SwitchRoleAsync(id, role, limit, context.RequestAborted);
        await WriteAsync(context, new ClusterActionObject(
            id, isDone, isDone ? null : $"it could not be emptied, or was not back, within {limit.TotalSeconds} s"));
    }

    private IRequestGrain RequestOf(string id, ClusterActionRequest order) =>
        grains.GetGrain<IRequestGrain>(RequestSpec.GrainKeyOf(id, order.Choice ?? 0));

    private WorkerLink Demand(string? target) => (target is { Length: > 0 } name ? view.Find(name) : null)
        ?? throw new KreweException(
            ErrorCode.InvalidRequest,
            $"'target' is '{target}'; name one of the workers that GET /v1/cluster lists.", "target");

    private static async Task<ClusterActionRequest> ReadAsync(HttpContext context)
    {
        if (context.Features.Get<IHttpRequestBodyDetectionFeature>() is { CanHaveBody: false })
            return new ClusterActionRequest();
        try
        {
            var order = await JsonSerializer.DeserializeAsync(
                context.Request.Body, GatewayJson.Instance.ClusterActionRequest, context.RequestAborted)
                ?? new ClusterActionRequest();
            AuditLog.Describe(context, JsonSerializer.Serialize(order, GatewayJson.Instance.ClusterActionRequest));
            return order;
        }
        catch (JsonException e)
        {
            throw new KreweException(ErrorCode.InvalidJson, $"The body is not JSON: {e.Message}", innerException: e);
        }
    }

    private static Task WriteAsync(HttpContext context, ClusterActionObject answer) => ErrorWriter.WriteJsonAsync(
        context.Response, JsonSerializer.SerializeToUtf8Bytes(answer, GatewayJson.Instance.ClusterActionObject));
}
