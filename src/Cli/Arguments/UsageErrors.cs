using System.CommandLine;
using System.CommandLine.Parsing;

namespace Krewe.Cli;

/// <summary>What is wrong with a command line, each thing once, and what was probably meant.</summary>
internal static class UsageErrors
{
    private const string NoCommand = "Required command was not provided.";

    public static IEnumerable<string> Of(ParseResult result)
    {
        var command = result.CommandResult.Command;
        var unknown = result.UnmatchedTokens;
        for (var i = 0; i < unknown.Count; i++)
        {
            // Behind an unknown option: its value.
            if (i > 0 && !IsOption(unknown[i]) && IsOption(unknown[i - 1])) continue;
            yield return $"Unrecognized command or argument '{unknown[i]}'.{Meant(unknown[i], result.CommandResult)}";
        }

        foreach (var error in result.Errors.Select(error => error.Message).Distinct())
        {
            if (unknown.Any(token => error.Contains($"'{token}'", StringComparison.Ordinal))) continue;
            if (error != NoCommand) yield return error;
            else if (unknown.Count == 0) yield return $"Which of them? {List(command.Subcommands)}.";
        }
    }

    private static bool IsOption(string token) => token.StartsWith('-');

    private static string Meant(string token, CommandResult at)
    {
        var known = IsOption(token) ? Options(at) : at.Command.Subcommands.Select(one => one.Name);
        var name = token.Split('=')[0];
        var nearest = known.Select(one => (Name: one, Distance: Distance(name, one))).OrderBy(one => one.Distance)
            .FirstOrDefault((Name: "", Distance: int.MaxValue));
        return nearest.Distance <= Math.Max(1, name.TrimStart('-').Length / 3)
            ? $" Did you mean '{nearest.Name}'?"
            : "";
    }

    private static IEnumerable<string> Options(CommandResult at)
    {
        var own = at.Command.Options.Where(option => !option.Hidden);
        for (var above = at.Parent; above is CommandResult parent; above = parent.Parent)
            own = own.Concat(parent.Command.Options.Where(option => option.Recursive));
        return own.Select(option => option.Name);
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
