using Krewe.Abstractions;

namespace Krewe.Cli;

/// <summary>Finds <c>models/tiny</c>: beside the executable (installed) or above it (in the repository).</summary>
internal static class BundledModel
{
    public static string Find() => Find(AppContext.BaseDirectory);

    public static string Find(string start)
    {
        for (var folder = new DirectoryInfo(start); folder is not null; folder = folder.Parent)
        {
            var candidate = Path.Combine(folder.FullName, "models", "tiny");
            if (File.Exists(Path.Combine(candidate, "config.json"))) return candidate;
        }

        throw new KreweException(
            ErrorCode.InvalidModel,
            $"The bundled model models/tiny is not at or above {start}; name one with --model DIR.");
    }
}
