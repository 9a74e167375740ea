using Krewe.Control.Access;
using Krewe.Silo.Access;
using Krewe.Silo.Gateway.Json;
using Krewe.Silo.Gateway.Requests;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Krewe.Silo.Gateway;

/// <summary>Every path of the REST gateway.</summary>
internal static class GatewayRoutes
{
    public static void Map(
        IEndpointRouteBuilder routes, GenerateEndpoints generate, ResumeEndpoint resume, InfoEndpoints info,
        TokenEndpoints tokens, ServerEndpoints server, ClusterEndpoints cluster)
    {
        var open = routes.MapGroup("").OpenToAll();
        var clients = routes.MapGroup("").RequireRole(AccessRoles.Inference);
        var operators = routes.MapGroup("").RequireRole(AccessRoles.Operator);
        var actions = routes.MapGroup("").RequireRoleForAction(AccessRoles.Operator);
        var json = GatewayJson.Instance;
        clients.MapPost("/v1/chat/completions", generate.Of(AnswerKind.Chat))
            .Answers(json.ChatCompletion, events: json.ChatChunk);
        clients.MapPost("/v1/completions", generate.Of(AnswerKind.Text))
            .Answers(json.TextCompletion, events: json.TextCompletion);
        clients.MapPost("/v1/responses", generate.Of(AnswerKind.Response));
        clients.MapGet("/v1/responses/{id}", (RequestDelegate)ServerEndpoints.ResponseAsync);
        clients.MapDelete("/v1/responses/{id}", (RequestDelegate)ServerEndpoints.ResponseAsync);
        clients.MapPost("/v1/responses/{id}/cancel", (RequestDelegate)ServerEndpoints.ResponseAsync);
        clients.MapPost("/v1/messages", generate.Of(AnswerKind.Message));
        clients.MapPost("/v1/messages/count_tokens", (RequestDelegate)tokens.CountAsync);
        clients.MapPost("/v1/embeddings", (RequestDelegate)server.EmbeddingsAsync);
        clients.MapPost("/tokenize", (RequestDelegate)tokens.TokenizeAsync);
        clients.MapPost("/detokenize", (RequestDelegate)tokens.DetokenizeAsync);
        open.MapGet("/version", (RequestDelegate)ServerEndpoints.VersionAsync);
        clients.MapGet("/load", (RequestDelegate)server.LoadAsync);
        open.MapGet("/openapi.json", context => ServerEndpoints.OpenApiAsync(context, routes.DataSources));
        clients.MapGet("/v1/models", (RequestDelegate)info.ModelsAsync).Answers(json.ModelList);
        // Model names may contain slashes.
        clients.MapGet("/v1/models/{**id}", (RequestDelegate)info.ModelAsync).Answers(json.ModelObject);
        clients.MapGet("/v1/requests/{id}/stream", (RequestDelegate)resume.ResumeAsync);
        clients.MapGet("/v1/requests/{id}", (RequestDelegate)info.RequestAsync).Answers(json.RequestObject);
        operators.MapGet("/v1/cluster", (RequestDelegate)info.ClusterAsync).Answers(json.ClusterObject);
        operators.MapGet("/v1/cluster/requests/{id}", (RequestDelegate)info.AnyRequestAsync)
            .Answers(json.RequestObject);
        foreach (var (path, act) in (ReadOnlySpan<(string, RequestDelegate)>)[
            ("requests/{id}/migrate", cluster.MigrateAsync), ("requests/{id}/recompute", cluster.RecomputeAsync),
            ("workers/{id}/{action}", cluster.ActOnWorkerAsync)])
        {
            actions.MapPost($"/v1/cluster/{path}", act)
                .Answers(json.ClusterActionObject, takes: json.ClusterActionRequest);
        }

        // Balancers and monitors ask with HEAD.
        open.MapMethods("/ping", ["GET", "HEAD", "POST"], (RequestDelegate)InfoEndpoints.LiveAsync);
        foreach (var path in (string[])["/health", "/health/live"])
            open.MapMethods(path, ["GET", "HEAD"], (RequestDelegate)InfoEndpoints.LiveAsync).Answers(json.HealthObject);
        foreach (var path in (string[])["/ready", "/health/ready"])
            open.MapMethods(path, ["GET", "HEAD"], (RequestDelegate)info.ReadyAsync).Answers(json.HealthObject);
    }
}
