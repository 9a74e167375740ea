using Krewe.Models;

namespace Krewe.Workers.Tests.Runner;

/// <summary>The bundled model and the questions that its card answers.</summary>
internal static class TinyModel
{
    public static string Directory { get; } = Find();

    public static ModelFolder Open() => ModelFolder.Open(Directory);

    /// <summary>Questions and answers under "Samples" of MODEL_CARD.md.</summary>
    public static IReadOnlyList<(string Question, string Answer)> Samples()
    {
        var lines = File.ReadAllLines(Path.Combine(Directory, "MODEL_CARD.md"))
            .SkipWhile(line => !line.StartsWith("Samples", StringComparison.Ordinal))
            .TakeWhile(line => !line.Contains("One dialogue", StringComparison.Ordinal))
            .Select(line => line.Trim())
            .ToList();
        return [.. lines.Zip(lines.Skip(1))
            .Where(pair => pair.First.StartsWith("> ", StringComparison.Ordinal))
            .Select(pair => (pair.First[2..], pair.Second))];
    }

    public static string Prompt(string question) => $"<|begin|><|user|>{question}<|end|><|assistant|>";

    private static string Find()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "models", "tiny", "config.json")))
            folder = folder.Parent;
        return Path.Combine(
            folder?.FullName ?? throw new DirectoryNotFoundException("No parent folder has models/tiny."),
            "models", "tiny");
    }
}
