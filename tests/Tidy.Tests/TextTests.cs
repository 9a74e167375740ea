using System.Text.RegularExpressions;

namespace Krewe.Tidy.Tests;

/// <summary>Rules for documents, and for what must not be committed anywhere.</summary>
public sealed partial class TextTests
{
    // Spelt in halves, so that this file does not find itself.
    private static readonly string[] RegistryHosts =
        ["nuget" + ".org", "registry.npmjs" + ".org", "pypi" + ".org", "pythonhosted" + ".org", "crates" + ".io"];

    [Fact]
    public void Every_document_has_exactly_one_title() =>
        Findings.None(Documents().SelectMany(FindTitles));

    [Fact]
    public void Decisions_are_numbered_without_a_gap()
    {
        var names = Repository.Under("docs/adr").Select(file => Path.GetFileName(file.Path)).Order().ToArray();

        Findings.None(FindWrongNumbers(names));
    }

    [Fact]
    public void No_file_names_a_package_registry_or_a_path_of_one_machine() =>
        Findings.None(Repository.Files.SelectMany(FindMachineFacts));

    [Fact]
    public void Links_between_documents_lead_somewhere() =>
        Findings.None(Documents().Append(Repository.Get("README.md")).SelectMany(FindDeadLinks));

    [Fact]
    public void Each_rule_finds_what_breaks_it()
    {
        Assert.Single(FindTitles(Document("# One\n# Two")));
        Assert.Single(FindTitles(Document("## Only a section")));
        Assert.Empty(FindTitles(Document("# One\n```bash\n# a comment\n```")));
        Assert.Single(FindWrongNumbers(["0001-a.md", "0003-c.md"]));
        Assert.Single(FindWrongNumbers(["0001-a.md", "notes.md"]));
        Assert.Single(FindMachineFacts(Document("see https://api.nu" + "get.org/v3")));
        Assert.Single(FindMachineFacts(Document("/ho" + "me/ann/krewe")));
        Assert.Empty(FindMachineFacts(Document("http://127.0.0.1:8080/v1/home")));
        Assert.Single(FindDeadLinks(Document("[a](nowhere.md)")));
        Assert.Empty(FindDeadLinks(Document("[a](GLOSSARY.md) [b](https://example.org/x.md) [c](#title)")));
    }

    private static RepositoryFile Document(string text) => new("docs/X.md", text);

    private static IEnumerable<RepositoryFile> Documents() =>
        Repository.Under("docs").Where(file => file.Extension == ".md");

    private static IEnumerable<string> FindTitles(RepositoryFile document)
    {
        var prose = CodeFence().Replace(document.Text, "");
        var titles = prose.Split('\n').Count(line => line.StartsWith("# ", StringComparison.Ordinal));
        if (titles != 1) yield return $"{document.Path}: {titles} titles; it needs exactly one.";
    }

    private static IEnumerable<string> FindWrongNumbers(string[] names)
    {
        for (var i = 0; i < names.Length; i++)
        {
            if (!names[i].StartsWith($"{i + 1:0000}-", StringComparison.Ordinal))
                yield return $"docs/adr/{names[i]}: expected number {i + 1:0000}.";
        }
    }

    private static IEnumerable<string> FindMachineFacts(RepositoryFile file) =>
        from line in file.Lines()
        let fact = RegistryHosts.FirstOrDefault(host => line.Text.Contains(host, StringComparison.OrdinalIgnoreCase))
            ?? (MachinePath().Match(line.Text) is { Success: true } path ? path.Value : null)
        where fact is not null
        select $"{file.Path}:{line.Number}: names {fact}.";

    private static IEnumerable<string> FindDeadLinks(RepositoryFile document)
    {
        var folder = Path.Combine(Repository.Root, Path.GetDirectoryName(document.Path)!);
        foreach (Match link in Link().Matches(CodeFence().Replace(document.Text, "")))
        {
            var target = link.Groups[1].Value.Split('#')[0];
            if (target.Length == 0 || target.Contains("://", StringComparison.Ordinal)) continue;
            var path = Path.Combine(folder, target);
            if (!File.Exists(path) && !Directory.Exists(path)) yield return $"{document.Path}: dead link {target}.";
        }
    }

    [GeneratedRegex("^```.*?^```", RegexOptions.Singleline | RegexOptions.Multiline)]
    private static partial Regex CodeFence();

    [GeneratedRegex(@"(?<![\w.:/-])/(home|root|Users|work)/\w[\w./-]*")]
    private static partial Regex MachinePath();

    [GeneratedRegex(@"\]\(([^)\s]+)\)")]
    private static partial Regex Link();
}
