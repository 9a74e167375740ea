namespace Krewe.Tidy.Tests;

/// <summary>A text file of the repository: path with forward slashes, relative to the root.</summary>
public sealed record RepositoryFile(string Path, string Text)
{
    public string Extension => System.IO.Path.GetExtension(Path);

    public IEnumerable<(int Number, string Text)> Lines() =>
        Text.Split('\n').Select((line, index) => (index + 1, line.TrimEnd('\r')));
}

/// <summary>The files under review: all that is not built, not git's and not a model's.</summary>
public static class Repository
{
    private static readonly string[] SkippedFolders =
    [
        ".git", ".krewe", ".vs", ".vscode", ".idea", "artifacts", "bin", "obj", "node_modules", "TestResults", "models",
    ];

    private static readonly string[] TextExtensions =
    [
        ".cs", ".csproj", ".props", ".targets", ".sln", ".md", ".json", ".txt", ".proto", ".yml", ".yaml", ".sh", ".py",
        ".mjs", ".js", ".css", ".html", ".cu", ".cuh", ".tpl", ".jinja", ".editorconfig", ".gitignore", "",
    ];

    private static readonly Lazy<IReadOnlyList<RepositoryFile>> All = new(Load);

    public static string Root { get; } = FindRoot();

    public static IReadOnlyList<RepositoryFile> Files => All.Value;

    public static IEnumerable<RepositoryFile> Under(string folder) =>
        Files.Where(file => file.Path.StartsWith(folder + "/", StringComparison.Ordinal));

    public static IEnumerable<RepositoryFile> Code => Files.Where(file => file.Extension == ".cs");

    public static RepositoryFile Get(string path) => Files.Single(file => file.Path == path);

    private static List<RepositoryFile> Load() =>
        [.. Walk(Root).Where(path => TextExtensions.Contains(System.IO.Path.GetExtension(path)))
            .Select(path => new RepositoryFile(
                System.IO.Path.GetRelativePath(Root, path).Replace('\\', '/'), File.ReadAllText(path)))];

    private static IEnumerable<string> Walk(string folder) => Directory.EnumerateFiles(folder).Concat(
        Directory.EnumerateDirectories(folder)
            .Where(child => !SkippedFolders.Contains(System.IO.Path.GetFileName(child)))
            .SelectMany(Walk));

    private static string FindRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(System.IO.Path.Combine(folder.FullName, "Orleans.sln")))
        {
            folder = folder.Parent
                ?? throw new InvalidOperationException($"No Orleans.sln at or above {AppContext.BaseDirectory}.");
        }

        return folder.FullName;
    }
}
