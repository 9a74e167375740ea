using Krewe.Models;

namespace Krewe.Silo.Tests.Harness;

/// <summary>The bundled model without its weights.</summary>
internal static class TestModel
{
    public const string Name = "tiny";

    /// <summary>Ends an answer.</summary>
    public const int StopToken = 1020;

    public static string Directory { get; } = Find();

    public static ModelFolder Folder { get; } = ModelFolder.Open(Directory, openWeights: false);

    public static int[] Encode(string text) => Folder.Tokenizer.Encode(text, addSpecialTokens: false);

    private static string Find()
    {
        for (var at = new DirectoryInfo(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            var candidate = Path.Combine(at.FullName, "models", Name);
            if (System.IO.Directory.Exists(candidate)) return candidate;
        }

        throw new DirectoryNotFoundException($"models/{Name} is not above {AppContext.BaseDirectory}.");
    }
}
