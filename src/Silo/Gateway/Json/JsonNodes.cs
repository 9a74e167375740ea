using System.Text.Json;
using System.Text.Json.Nodes;

namespace Krewe.Silo.Gateway.Json;

/// <summary>JSON that is put together by hand: shapes with many fixed members and few values.</summary>
internal static class JsonNodes
{
    private static readonly JsonWriterOptions Writing = new()
    {
        Encoder = GatewayJson.Instance.Options.Encoder,
    };

    public static byte[] ToBytes(this JsonNode node)
    {
        using var bytes = new MemoryStream();
        using (var writer = new Utf8JsonWriter(bytes, Writing)) node.WriteTo(writer);
        return bytes.ToArray();
    }

    /// <summary>A copy of a request's value.</summary>
    public static JsonNode? ToNode(this JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => JsonObject.Create(value.Clone()),
        JsonValueKind.Array => JsonArray.Create(value.Clone()),
        JsonValueKind.Null => null,
        _ => JsonValue.Create(value.Clone()),
    };
}
