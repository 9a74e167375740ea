using Krewe.Silo.Gateway.Requests;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Krewe.Silo.Gateway;

/// <summary>Every path of the REST gateway.</summary>
internal static class GatewayRoutes
{
    public static void Map(
        IEndpointRouteBuilder routes, GenerateEndpoints generate, ResumeEndpoint resume, InfoEndpoints info)
    {
        routes.MapPost("/v1/chat/completions", generate.Of(AnswerKind.Chat));
        routes.MapPost("/v1/completions", generate.Of(AnswerKind.Text));
        routes.MapGet("/v1/models", (RequestDelegate)info.ModelsAsync);
        // Model names may contain slashes.
        routes.MapGet("/v1/models/{**id}", (RequestDelegate)info.ModelAsync);
        routes.MapGet("/v1/requests/{id}/stream", (RequestDelegate)resume.ResumeAsync);
        routes.MapGet("/v1/requests/{id}", (RequestDelegate)info.RequestAsync);
        routes.MapGet("/v1/cluster", (RequestDelegate)info.ClusterAsync);
        routes.MapGet("/health", (RequestDelegate)InfoEndpoints.LiveAsync);
        routes.MapGet("/health/live", (RequestDelegate)InfoEndpoints.LiveAsync);
        routes.MapGet("/health/ready", (RequestDelegate)info.ReadyAsync);
    }
}
