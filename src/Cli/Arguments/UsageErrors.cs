using System.CommandLine;
using System.CommandLine.Parsing;

namespace Krewe.Cli;

/// <summary>What is wrong with a command line, each thing once, and what was probably meant.</summary>
internal static class UsageErrors
{
    private const string NoCommand = "Required command was not provided.";

    /// <summary>Empty when the command can run, or only help was asked for.</summary>
    /// <param name="words">The command line that was parsed.</param>
    public static IEnumerable<string> Of(ParseResult result, IReadOnlyList<string> words)
    {
        if (result.Errors.Count == 0 && result.Action != result.CommandResult.Command.Action) yield break;
        var told = new List<string>();
        foreach (var (option, text) in Misused(result, words))
        {
            told.Add(option);
            yield return text;
        }

        var strays = Strays(result, told.Count == 0 ? [] : words).ToArray();
        foreach (var stray in strays)
            yield return $"Unrecognized command or argument '{stray}'.{Meant(stray, result.CommandResult)}";
        foreach (var error in result.Errors.Select(error => TextOf(error, result)).Distinct())
        {
            if (error.StartsWith("Unrecognized command or argument", StringComparison.Ordinal)) continue;
            if (told.Any(option => error.StartsWith($"{option} ", StringComparison.Ordinal))) continue;
            if (error != NoCommand) yield return error;
            else if (strays.Length == 0)
                yield return $"Which of them? {List(result.CommandResult.Command.Subcommands)}.";
        }
    }

    /// <summary>
    /// What the parser does not call wrong: an option that took another one's name for its value, and a switch with a
    /// value.
    /// </summary>
    private static IEnumerable<(string Option, string Text)> Misused(ParseResult result, IReadOnlyList<string> words)
    {
        var known = Options(result.CommandResult).ToArray();
        foreach (var option in known)
        {
            if (result.GetResult(option) is { Implicit: false, Tokens: [var token, ..] }
                && known.Any(other => other.Name == token.Value) && !words.Contains($"{option.Name}={token.Value}"))
                yield return (option.Name, Missing(option));
        }

        foreach (var word in words.Where(word => word.StartsWith("--", StringComparison.Ordinal)))
        {
            if (word.Split('=', 2) is [var name, var value] && !bool.TryParse(value, out _)
                && known.OfType<Option<bool>>().FirstOrDefault(option => option.Name == name) is { } flag)
                yield return (name, Misread(flag, value));
        }
    }

    /// <summary>Words that nothing takes, and options where an argument should be. What stands directly behind an
    /// unknown option is its value, and goes with it.</summary>
    /// <param name="words">With switches whose value was told already; may be empty.</param>
    private static IEnumerable<string> Strays(ParseResult result, IReadOnlyList<string> words)
    {
        var unmatched = new Queue<string>(result.UnmatchedTokens);
        List<string> misplaced =
        [
            .. result.CommandResult.Children.OfType<ArgumentResult>().SelectMany(argument => argument.Tokens)
                .Select(token => token.Value).Where(value => IsOption(value) && !IsEscaped(result, value)),
        ];
        var option = -2;
        for (var at = 0; at < result.Tokens.Count; at++)
        {
            var value = result.Tokens[at].Value;
            if (unmatched.TryPeek(out var next) && next == value) unmatched.Dequeue();
            else if (!misplaced.Remove(value)) continue;
            if (!IsOption(value) && at == option + 1) continue;
            if (words.Any(word => IsOption(word) && word.EndsWith($"={value}", StringComparison.Ordinal))) continue;
            if (IsOption(value) && !value.Contains('=', StringComparison.Ordinal)) option = at;
            yield return value;
        }
    }

    /// <summary>Behind a -- everything is an argument.</summary>
    private static bool IsEscaped(ParseResult result, string value) => result.Tokens
        .SkipWhile(token => token.Type != TokenType.DoubleDash).Any(token => token.Value == value);

    private static string Missing(Option option) =>
        $"{option.Name} needs a value, {option.HelpName}: {option.Description}";

    /// <summary>The parser's own words name the option, but not what it takes.</summary>
    private static string TextOf(ParseError error, ParseResult result)
    {
        switch (error.SymbolResult)
        {
            case OptionResult { Option: not Option<bool> } given when IsMissing(error) || given.Tokens.Count == 0:
                return Missing(given.Option);
            case ArgumentResult { Parent: OptionResult given } when IsMissing(error) || given.Tokens.Count == 0:
                return Missing(given.Option);
            case OptionResult { Tokens: [var token, ..] } given when IsParsers(error):
                return Misread(given.Option, token.Value);
            case ArgumentResult { Parent: OptionResult { Tokens: [var token, ..] } given } when IsParsers(error):
                return Misread(given.Option, token.Value);
            case ArgumentResult { Parent: CommandResult, Tokens.Count: 0, Argument: var argument }:
                return $"<{argument.Name}> is missing: {argument.Description}";
        }

        var left = result.CommandResult.Command.Options.FirstOrDefault(
            option => option.Required && result.GetResult(option) is not { Implicit: false }
                && error.Message.Contains($"'{option.Name}'", StringComparison.Ordinal));
        return left is null ? error.Message : $"{left.Name} {left.HelpName} is missing: {left.Description}";
    }

    private static bool IsMissing(ParseError error) =>
        error.Message.StartsWith("Required argument missing", StringComparison.Ordinal);

    private static bool IsParsers(ParseError error) =>
        error.Message.StartsWith("Cannot parse argument", StringComparison.Ordinal);

    private static string Misread(Option option, string value) =>
        $"{option.Name} is '{value}'; it takes {(option is Option<bool> ? "no value" : option.HelpName)}: "
        + option.Description;

    private static bool IsOption(string token) => token.StartsWith('-');

    private static string Meant(string token, CommandResult at) => Nearest(
        token.Split('=')[0],
        IsOption(token)
            ? Options(at).Where(option => !option.Hidden).Select(option => option.Name)
            : at.Command.Subcommands.Select(one => one.Name));

    /// <summary>A question in a sentence of its own; empty where nothing is near.</summary>
    public static string Nearest(string name, IEnumerable<string> known)
    {
        var nearest = known.Select(one => (Name: one, Distance: Distance(name, one))).OrderBy(one => one.Distance)
            .FirstOrDefault((Name: "", Distance: int.MaxValue));
        return nearest.Distance <= Math.Max(1, name.TrimStart('-').Length / 3)
            ? $" Did you mean '{nearest.Name}'?"
            : "";
    }

    /// <summary>A command's own and those of the commands above it that count here too.</summary>
    public static IEnumerable<Option> Options(CommandResult at)
    {
        IEnumerable<Option> all = at.Command.Options;
        for (var above = at.Parent; above is CommandResult parent; above = parent.Parent)
            all = all.Concat(parent.Command.Options.Where(option => option.Recursive));
        return all;
    }

    private static string List(IEnumerable<Command> commands) =>
        string.Join(", ", commands.Where(one => !one.Hidden).Select(one => one.Name));

    /// <summary>Letters to add, leave out, change, or swap with the next (optimal string alignment).</summary>
    internal static int Distance(string a, string b)
    {
        var rows = new int[a.Length + 1, b.Length + 1];
        for (var i = 0; i <= a.Length; i++) rows[i, 0] = i;
        for (var j = 0; j <= b.Length; j++) rows[0, j] = j;
        for (var i = 1; i <= a.Length; i++)
        {
            for (var j = 1; j <= b.Length; j++)
            {
                var change = rows[i - 1, j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
                rows[i, j] = Math.Min(change, Math.Min(rows[i - 1, j], rows[i, j - 1]) + 1);
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                    rows[i, j] = Math.Min(rows[i, j], rows[i - 2, j - 2] + 1);
            }
        }

        return rows[a.Length, b.Length];
    }
}
