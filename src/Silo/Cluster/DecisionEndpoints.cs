using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Krewe.Abstractions;
using Krewe.Control.Access;
using Krewe.Control.Cluster;
using Krewe.Silo.Access;
using Krewe.Silo.Gateway;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Krewe.Silo.Cluster;

/// <summary>GET /v1/cluster/decisions[?after=N]: what cluster control did lately, and why.</summary>
internal sealed class DecisionEndpoints(DecisionLog log)
{
    public void Map(IEndpointRouteBuilder routes) =>
        routes.MapGet("/v1/cluster/decisions", (RequestDelegate)GetAsync).RequireRole(AccessRoles.Operator);

    private Task GetAsync(HttpContext context)
    {
        var text = context.Request.Query["after"].ToString();
        var after = 0L;
        if (text.Length > 0 && !long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out after))
        {
            throw new KreweException(ErrorCode.InvalidRequest,
                $"'after' is '{text}'; it must be the number of the last decision that was read, or left out.");
        }

        var list = new DecisionList("list", [.. log.After(after).Select(decision => new DecisionObject(
            decision.Number, decision.At, decision.Kind, decision.What))]);
        return ErrorWriter.WriteJsonAsync(
            context.Response, JsonSerializer.SerializeToUtf8Bytes(list, DecisionJson.Default.DecisionList));
    }
}

/// <summary>The newest decisions, oldest first.</summary>
internal sealed record DecisionList(string Object, IReadOnlyList<DecisionObject> Data);

/// <summary>One decision; see <see cref="ClusterDecision"/>.</summary>
internal sealed record DecisionObject(long Number, DateTimeOffset At, string Kind, string What);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(DecisionList))]
internal sealed partial class DecisionJson : JsonSerializerContext;
