using System.Text.Json.Nodes;
using System.Text.Json.Schema;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Builder;

namespace Krewe.Silo.Gateway.Json;

/// <summary>
/// What an endpoint takes and answers, for GET /openapi.json: the very types that are read and written. Bodies of
/// requests to generate have none, since each of their fields is read by itself.
/// </summary>
/// <param name="Request">Null: any object.</param>
/// <param name="Answer">The whole answer.</param>
/// <param name="Event">Each event of a stream; null where nothing is streamed.</param>
internal sealed record BodySchemas(JsonTypeInfo Answer, JsonTypeInfo? Event = null, JsonTypeInfo? Request = null)
{
    private static readonly JsonSchemaExporterOptions Options = new() { TreatNullObliviousAsNonNullable = true };

    public IEnumerable<JsonTypeInfo> All => new[] { Answer, Event, Request }.OfType<JsonTypeInfo>();

    public static string NameOf(JsonTypeInfo type) => type.Type.Name;

    public static JsonNode SchemaOf(JsonTypeInfo type) => type.GetJsonSchemaAsNode(Options);

    /// <summary>Where a document has the schema.</summary>
    public static JsonObject ReferenceTo(JsonTypeInfo type) =>
        new() { ["$ref"] = $"#/components/schemas/{NameOf(type)}" };
}

/// <summary>How routes say it: <c>routes.MapGet(...).Answers(GatewayJson.Instance.ModelList)</c>.</summary>
internal static class BodySchemaExtensions
{
    public static T Answers<T>(this T endpoint, JsonTypeInfo answer, JsonTypeInfo? events = null,
        JsonTypeInfo? takes = null)
        where T : IEndpointConventionBuilder => endpoint.WithMetadata(new BodySchemas(answer, events, takes));
}
