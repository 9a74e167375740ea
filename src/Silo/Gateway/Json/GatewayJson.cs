using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Krewe.Silo.Gateway.Json;

/// <summary>
/// Every JSON object that the gateway writes; generated, so that nothing is reflected upon at run time.
/// </summary>
[JsonSerializable(typeof(ErrorObject))]
[JsonSerializable(typeof(ChatTokenLogprob))]
[JsonSerializable(typeof(string))]
[JsonSerializable(typeof(int))]
[JsonSerializable(typeof(ChatCompletion))]
[JsonSerializable(typeof(ChatChunk))]
[JsonSerializable(typeof(TextCompletion))]
[JsonSerializable(typeof(ModelList))]
[JsonSerializable(typeof(RequestObject))]
[JsonSerializable(typeof(ClusterObject))]
[JsonSerializable(typeof(HealthObject))]
[JsonSerializable(typeof(ClusterActionRequest))]
[JsonSerializable(typeof(ClusterActionObject))]
[JsonSourceGenerationOptions(GenerationMode = JsonSourceGenerationMode.Metadata)]
internal sealed partial class GatewayJson : JsonSerializerContext
{
    /// <summary>
    /// The context to use. Text beyond ASCII is written as it is: the answers are application/json in UTF-8 and never a
    /// part of an HTML page, and escapes would treble the size of many languages.
    /// </summary>
    public static GatewayJson Instance { get; } = new(new JsonSerializerOptions
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });
}
