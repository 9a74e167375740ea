using System.CommandLine;
using System.CommandLine.Completions;

namespace Krewe.Cli.Completing;

/// <summary>What may stand behind an option or in an argument's place.</summary>
internal enum CompletionKind
{
    /// <summary>Nothing: it is a switch.</summary>
    Nothing,

    /// <summary>One of the words, or anything that has no list.</summary>
    Word,

    File,

    Folder,
}

/// <param name="Name">With its dashes; "" for the command's own argument.</param>
/// <param name="Words">Those that are known; may be none.</param>
internal sealed record CompletionEntry(
    string Name, string Description, CompletionKind Kind, IReadOnlyList<string> Words);

/// <param name="Path">Its name behind its group's, each with a slash in front; "" for krewe itself.</param>
/// <param name="Commands">Of a group, with their descriptions.</param>
/// <param name="Argument">Null where it takes none.</param>
internal sealed record CompletionScope(
    string Path, IReadOnlyList<(string Name, string Description)> Commands, IReadOnlyList<CompletionEntry> Options,
    CompletionEntry? Argument);

/// <summary>
/// The commands and options that help shows, as shells need them: read from the very objects that parse and print.
/// </summary>
internal static class CompletionTable
{
    public static IReadOnlyList<CompletionScope> Of(Command root) => [.. Scopes(root, "", [])];

    private static IEnumerable<CompletionScope> Scopes(Command command, string path, IEnumerable<Option> inherited)
    {
        Command[] commands = [.. command.Subcommands.Where(one => !one.Hidden)];
        Option[] own = [.. command.Options.Where(one => !one.Hidden)];
        yield return new CompletionScope(
            path,
            [.. commands.Select(one => (one.Name, one.Description ?? ""))],
            [.. own.Concat(inherited).Select(Entry)],
            command.Arguments.FirstOrDefault(one => !one.Hidden) is { } argument ? Entry(argument) : null);
        Option[] handedOn = [.. inherited, .. own.Where(one => one.Recursive)];
        foreach (var scope in commands.SelectMany(one => Scopes(one, $"{path}/{one.Name}", handedOn)))
            yield return scope;
    }

    private static CompletionEntry Entry(Option option)
    {
        // A switch could be given true or false; nobody does.
        if (option.ValueType == typeof(bool) || option.Arity.MaximumNumberOfValues == 0)
            return new CompletionEntry(option.Name, option.Description ?? "", CompletionKind.Nothing, []);
        string[] words = [.. option.GetCompletions(CompletionContext.Empty).Select(one => one.Label)];
        var kind = words.Length > 0 ? CompletionKind.Word : KindOf(option.HelpName ?? "");
        return new CompletionEntry(option.Name, option.Description ?? "", kind, words);
    }

    private static CompletionEntry Entry(Argument argument)
    {
        string[] words = [.. argument.GetCompletions(CompletionContext.Empty).Select(one => one.Label)];
        return new CompletionEntry("", argument.Description ?? "", KindOf(argument.Name.ToUpperInvariant()), words);
    }

    /// <summary>By what help calls the value.</summary>
    private static CompletionKind KindOf(string helpName) =>
        Has(helpName, "FILE") || Has(helpName, "OUT") || Has(helpName, "PATH") ? CompletionKind.File
        : Has(helpName, "DIR") || Has(helpName, "FOLDER") ? CompletionKind.Folder
        : CompletionKind.Word;

    private static bool Has(string text, string word) => text.Contains(word, StringComparison.Ordinal);
}
