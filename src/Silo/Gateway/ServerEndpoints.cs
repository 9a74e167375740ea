using System.Reflection;
using System.Text.Json.Nodes;
using Krewe.Abstractions;
using Krewe.Silo.Gateway.Admission;
using Krewe.Silo.Gateway.Json;
using Krewe.Silo.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Krewe.Silo.Gateway;

/// <summary>What tools ask a server about itself, and what it says of what it does not do.</summary>
internal sealed class ServerEndpoints(Door door, ServedModel model)
{
    private static string Version { get; } =
        typeof(ServerEndpoints).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()
            ?.InformationalVersion.Split('+')[0] ?? "0";

    public static Task VersionAsync(HttpContext context) =>
        WriteAsync(context, new JsonObject { ["version"] = Version });

    /// <summary>Requests inside, as vLLM counts its server's load.</summary>
    public Task LoadAsync(HttpContext context) =>
        WriteAsync(context, new JsonObject { ["server_load"] = door.InsideCount });

    /// <summary>A refusal that no client retries.</summary>
    public Task EmbeddingsAsync(HttpContext context) => throw new KreweException(
        ErrorCode.NotFound,
        $"The model '{model.Name}' generates text; it makes no embeddings. Ask a server of an embedding model.",
        "model");

    /// <summary>GET, DELETE and cancel of a response.</summary>
    public static Task ResponseAsync(HttpContext context) => throw new KreweException(
        ErrorCode.NotFound,
        $"The response '{context.Request.RouteValues["id"]}' is not stored here: this server keeps no responses. Send "
        + "the whole conversation as 'input', or resume a stream at /v1/requests/{id}/stream.",
        "id");

    /// <summary>GET /openapi.json: every path that is served, with the schemas of what has a type.</summary>
    public static Task OpenApiAsync(HttpContext context, IEnumerable<EndpointDataSource> sources) =>
        WriteAsync(context, OpenApi.Describe(sources, Version));

    private static Task WriteAsync(HttpContext context, JsonObject answer) =>
        ErrorWriter.WriteJsonAsync(context.Response, answer.ToBytes());
}
