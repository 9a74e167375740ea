using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using Krewe.Silo.Gateway.Json;
using Microsoft.AspNetCore.Routing;

namespace Krewe.Silo.Gateway;

/// <summary>The description of the API for tools: read from the routes and from the types that they answer.</summary>
internal static class OpenApi
{
    private const string Json = "application/json";

    public static JsonObject Describe(IEnumerable<EndpointDataSource> sources, string version)
    {
        var (paths, types) = (new JsonObject(), new Dictionary<string, JsonTypeInfo>());
        var error = Remember(GatewayJson.Instance.ErrorObject);
        var endpoints = sources.SelectMany(source => source.Endpoints).OfType<RouteEndpoint>()
            .OrderBy(endpoint => endpoint.RoutePattern.RawText, StringComparer.Ordinal);
        foreach (var endpoint in endpoints)
        {
            var path = endpoint.RoutePattern.RawText!.Replace("{**", "{", StringComparison.Ordinal);
            if (paths[path] is not JsonObject item) paths[path] = item = [];
            var bodies = endpoint.Metadata.GetMetadata<BodySchemas>();
            foreach (var type in bodies?.All ?? []) Remember(type);
            foreach (var method in endpoint.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods ?? [])
                item[method.ToLowerInvariant()] = Operation(path, method, bodies, error);
        }

        return new JsonObject
        {
            ["openapi"] = "3.1.0",
            ["info"] = new JsonObject { ["title"] = "Krewe", ["version"] = version },
            ["paths"] = paths,
            ["components"] = new JsonObject
            {
                ["schemas"] = new JsonObject(types.OrderBy(type => type.Key, StringComparer.Ordinal).Select(
                    type => KeyValuePair.Create(type.Key, (JsonNode?)BodySchemas.SchemaOf(type.Value)))),
            },
        };

        JsonTypeInfo Remember(JsonTypeInfo type) => types[BodySchemas.NameOf(type)] = type;
    }

    private static JsonObject Operation(string path, string method, BodySchemas? bodies, JsonTypeInfo error)
    {
        var done = new JsonObject { ["description"] = "Done" };
        if (bodies is not null && method != "HEAD") done["content"] = AnswerOf(bodies);
        var operation = new JsonObject
        {
            ["operationId"] = $"{method.ToLowerInvariant()} {path}",
            ["responses"] = new JsonObject
            {
                ["200"] = done,
                ["default"] = new JsonObject
                {
                    ["description"] = "An error object: message, type, param, code",
                    ["content"] = Content(Json, BodySchemas.ReferenceTo(error)),
                },
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
            ["content"] = Content(Json, bodies?.Request is { } request
                ? BodySchemas.ReferenceTo(request)
                : new JsonObject { ["type"] = "object" }),
        };
        return operation;
    }

    private static JsonObject AnswerOf(BodySchemas bodies)
    {
        var content = Content(Json, BodySchemas.ReferenceTo(bodies.Answer));
        // OpenAPI 3.1 has no word for the schema of one event; tools read it as that of the whole.
        if (bodies.Event is { } one)
            content["text/event-stream"] = new JsonObject { ["schema"] = BodySchemas.ReferenceTo(one) };
        return content;
    }

    private static JsonObject Content(string type, JsonObject schema) =>
        new() { [type] = new JsonObject { ["schema"] = schema } };
}
