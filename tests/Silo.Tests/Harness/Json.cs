using System.Text.Json;

namespace Krewe.Silo.Tests.Harness;

/// <summary>Reading answers.</summary>
internal static class Json
{
    public static async Task<JsonElement> OfAsync(HttpResponseMessage response)
    {
        var text = await response.Content.ReadAsStringAsync();
        using var document = JsonDocument.Parse(text);
        return document.RootElement.Clone();
    }

    /// <summary>A value by its path, for instance <c>choices.0.delta.content</c>.</summary>
    public static JsonElement At(this JsonElement element, string path)
    {
        foreach (var part in path.Split('.'))
            element = int.TryParse(part, out var index) ? element[index] : element.GetProperty(part);
        return element;
    }

    public static string? Text(this JsonElement element, string path) => element.At(path).GetString();

    public static int Int(this JsonElement element, string path) => element.At(path).GetInt32();
}
