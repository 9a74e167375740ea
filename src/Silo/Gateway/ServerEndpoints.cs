using System.Globalization;
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

    /// <summary>GET /openapi.json: every path that is served.</summary>
    public static Task OpenApiAsync(HttpContext context, IEnumerable<EndpointDataSource> sources)
    {
        var paths = new JsonObject();
        var endpoints = sources.SelectMany(source => source.Endpoints).OfType<RouteEndpoint>()
            .OrderBy(endpoint => endpoint.RoutePattern.RawText, StringComparer.Ordinal);
        foreach (var endpoint in endpoints)
        {
            var path = endpoint.RoutePattern.RawText!.Replace("{**", "{", StringComparison.Ordinal);
            if (paths[path] is not JsonObject item) paths[path] = item = [];
            foreach (var method in endpoint.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods ?? [])
                item[method.ToLowerInvariant()] = Operation(path, method);
        }

        return WriteAsync(context, new JsonObject
        {
            ["openapi"] = "3.1.0",
            ["info"] = new JsonObject { ["title"] = "Krewe", ["version"] = Version },
            ["paths"] = paths,
        });
    }

    private static JsonObject Operation(string path, string method)
    {
        var operation = new JsonObject
        {
            ["operationId"] = string.Create(CultureInfo.InvariantCulture, $"{method.ToLowerInvariant()} {path}"),
            ["responses"] = new JsonObject
            {
                ["200"] = new JsonObject { ["description"] = "Done" },
                ["default"] = new JsonObject { ["description"] = "An error object: message, type, param, code" },
            },
        };
        var parameters = path.Split('/').Where(part => part.StartsWith('{')).Select(part => (JsonNode)new JsonObject
        {
            ["name"] = part.Trim('{', '}'),
            ["in"] = "path",
            ["required"] = true,
            ["schema"] = new JsonObject { ["type"] = "string" },
        });
        if (path.Contains('{', StringComparison.Ordinal)) operation["parameters"] = new JsonArray([.. parameters]);
        if (method != "POST") return operation;
        operation["requestBody"] = new JsonObject
        {
            ["required"] = true,
            ["content"] = new JsonObject
            {
                ["application/json"] = new JsonObject { ["schema"] = new JsonObject { ["type"] = "object" } },
            },
        };
        return operation;
    }

    private static Task WriteAsync(HttpContext context, JsonObject answer) =>
        ErrorWriter.WriteJsonAsync(context.Response, answer.ToBytes());
}
