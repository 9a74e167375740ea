using System.Text.RegularExpressions;

namespace Krewe.Tidy.Tests;

/// <summary>Rules for one source file. Each yields a finding "path:line: what" for every breach.</summary>
public static partial class CodeRules
{
    private const int LongestLine = 120;
    private const int LongestFile = 500;

    // Spelt in halves, so that this file does not find itself.
    private const string Pragma = "#" + "pragma";
    private const string Conditional = "#" + "if";

    public static IEnumerable<string> FindLongLines(RepositoryFile file) =>
        from line in file.Lines()
        where line.Text.Length > LongestLine
        select $"{file.Path}:{line.Number}: {line.Text.Length} characters; at most {LongestLine}.";

    public static IEnumerable<string> FindLooseReminders(RepositoryFile file) =>
        from line in file.Lines()
        where Reminder().IsMatch(line.Text) && !ReminderWithIssue().IsMatch(line.Text)
        select $"{file.Path}:{line.Number}: a reminder needs an issue number, like {"TO" + "DO"}(#12).";

    public static IEnumerable<string> FindPragmas(RepositoryFile file) =>
        from line in file.Lines()
        where line.Text.TrimStart().StartsWith(Pragma, StringComparison.Ordinal)
        select $"{file.Path}:{line.Number}: {Pragma}; use SuppressMessage with a Justification.";

    public static IEnumerable<string> FindConditionals(RepositoryFile file) =>
        from line in file.Lines()
        where line.Text.TrimStart().StartsWith(Conditional, StringComparison.Ordinal)
        select $"{file.Path}:{line.Number}: {Conditional}; grains must not differ between their hosts.";

    public static IEnumerable<string> FindSuppressionsWithoutReason(RepositoryFile file) =>
        from match in Suppression().Matches(file.Text)
        where !match.Value.Contains("Justification", StringComparison.Ordinal)
        select $"{file.Path}: {match.Value}: SuppressMessage without a Justification.";

    public static IEnumerable<string> FindOrleansNamespaces(RepositoryFile file) =>
        from line in file.Lines()
        where OrleansNamespace().IsMatch(line.Text)
        select $"{file.Path}:{line.Number}: product code in Orleans' namespace.";

    public static IEnumerable<string> FindEmptyCatches(RepositoryFile file) =>
        from match in EmptyCatch().Matches(file.Text)
        select $"{file.Path}: an empty catch: {match.Value.ReplaceLineEndings(" ")}";

    /// <summary>System's namespaces first, then the others, each by the alphabet.</summary>
    public static IEnumerable<string> FindUnsortedUsings(RepositoryFile file)
    {
        var names = PlainUsing().Matches(file.Text).Select(match => match.Groups[1].Value).ToArray();
        var sorted = names.OrderBy(name => name != "System" && !name.StartsWith("System.", StringComparison.Ordinal))
            .ThenBy(name => name, StringComparer.OrdinalIgnoreCase);
        var wrong = names.Zip(sorted).FirstOrDefault(pair => pair.First != pair.Second);
        if (wrong != default) yield return $"{file.Path}: using {wrong.First} stands where {wrong.Second} belongs.";
    }

    /// <summary>A file over 500 lines needs a line in the architecture's list that says why it is one thing.</summary>
    public static IEnumerable<string> FindUnexplainedLength(RepositoryFile file, string architecture)
    {
        var lines = file.Lines().Count();
        if (lines <= LongestFile) yield break;
        var list = architecture[architecture.IndexOf("## Files over 500 lines", StringComparison.Ordinal)..];
        if (!list.Contains($"`{file.Path}`", StringComparison.Ordinal))
            yield return $"{file.Path}: {lines} lines; split it or say in docs/ARCHITECTURE.md why it is one thing.";
    }

    [GeneratedRegex(@"\b(TO" + "DO|FIX" + "ME|XX" + @"X|HA" + @"CK)\b")]
    private static partial Regex Reminder();

    [GeneratedRegex(@"\b(TO" + "DO|FIX" + @"ME)\(#\d+\)")]
    private static partial Regex ReminderWithIssue();

    [GeneratedRegex(@"\[(assembly: )?SuppressMessage\([^\]]*\]", RegexOptions.Singleline)]
    private static partial Regex Suppression();

    [GeneratedRegex(@"^using ([\w.]+);\r?$", RegexOptions.Multiline)]
    private static partial Regex PlainUsing();

    [GeneratedRegex(@"^\s*namespace\s+Orleans\b")]
    private static partial Regex OrleansNamespace();

    [GeneratedRegex(@"\bcatch\b\s*(\([^{};]*\)\s*)?\{\s*\}", RegexOptions.Singleline)]
    private static partial Regex EmptyCatch();
}
