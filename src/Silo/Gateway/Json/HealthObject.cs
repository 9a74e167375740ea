using System.Text.Json.Serialization;

namespace Krewe.Silo.Gateway.Json;

/// <param name="Status">ok or not_ready.</param>
internal sealed record HealthObject(string Status)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Reason { get; init; }
}
