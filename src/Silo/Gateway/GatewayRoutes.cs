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
        routes.MapPost("/v1/chat/completions", generate.Of(AnswerKind.Chat));
        routes.MapPost("/v1/completions", generate.Of(AnswerKind.Text));
        routes.MapPost("/v1/responses", generate.Of(AnswerKind.Response));
        routes.MapGet("/v1/responses/{id}", (RequestDelegate)ServerEndpoints.ResponseAsync);
        routes.MapDelete("/v1/responses/{id}", (RequestDelegate)ServerEndpoints.ResponseAsync);
        routes.MapPost("/v1/responses/{id}/cancel", (RequestDelegate)ServerEndpoints.ResponseAsync);
        routes.MapPost("/v1/messages", generate.Of(AnswerKind.Message));
        routes.MapPost("/v1/messages/count_tokens", (RequestDelegate)tokens.CountAsync);
        routes.MapPost("/v1/embeddings", (RequestDelegate)server.EmbeddingsAsync);
        routes.MapPost("/tokenize", (RequestDelegate)tokens.TokenizeAsync);
        routes.MapPost("/detokenize", (RequestDelegate)tokens.DetokenizeAsync);
        routes.MapGet("/version", (RequestDelegate)ServerEndpoints.VersionAsync);
        routes.MapGet("/load", (RequestDelegate)server.LoadAsync);
        routes.MapGet("/openapi.json", context => ServerEndpoints.OpenApiAsync(context, routes.DataSources));
        routes.MapGet("/v1/models", (RequestDelegate)info.ModelsAsync);
        // Model names may contain slashes.
        routes.MapGet("/v1/models/{**id}", (RequestDelegate)info.ModelAsync);
        routes.MapGet("/v1/requests/{id}/stream", (RequestDelegate)resume.ResumeAsync);
        routes.MapGet("/v1/requests/{id}", (RequestDelegate)info.RequestAsync);
        routes.MapGet("/v1/cluster", (RequestDelegate)info.ClusterAsync);
        routes.MapPost("/v1/cluster/requests/{id}/migrate", (RequestDelegate)cluster.MigrateAsync);
        routes.MapPost("/v1/cluster/requests/{id}/recompute", (RequestDelegate)cluster.RecomputeAsync);
        routes.MapPost("/v1/cluster/workers/{id}/{action}", (RequestDelegate)cluster.ActOnWorkerAsync);
        routes.MapGet("/health", (RequestDelegate)InfoEndpoints.LiveAsync);
        routes.MapMethods("/ping", ["GET", "POST"], (RequestDelegate)InfoEndpoints.LiveAsync);
        routes.MapGet("/ready", (RequestDelegate)info.ReadyAsync);
        routes.MapGet("/health/live", (RequestDelegate)InfoEndpoints.LiveAsync);
        routes.MapGet("/health/ready", (RequestDelegate)info.ReadyAsync);
    }
}
