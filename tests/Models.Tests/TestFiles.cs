using System.Text.Json;

namespace Krewe.Models.Tests;

/// <summary>Where fixtures and the bundled model lie beside the test assembly.</summary>
internal static class TestFiles
{
    public static string TinyModel { get; } = Path.Combine(AppContext.BaseDirectory, "models", "tiny");

    public static string Fixture(string name) => Path.Combine(AppContext.BaseDirectory, "Fixtures", name);

    public static JsonElement Json(string name)
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(Fixture(name)));
        return document.RootElement.Clone();
    }
}

/// <summary>A folder of its own for one test, deleted at the end.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string FullPath { get; } = Directory.CreateTempSubdirectory("krewe-models-").FullName;

    public string Write(string name, string text)
    {
        var path = Path.Combine(FullPath, name);
        File.WriteAllText(path, text);
        return path;
    }

    public string Write(string name, byte[] bytes)
    {
        var path = Path.Combine(FullPath, name);
        File.WriteAllBytes(path, bytes);
        return path;
    }

    public void Dispose() => Directory.Delete(FullPath, recursive: true);
}
