using System.CommandLine;

namespace Krewe.Cli;

/// <summary>Some of some names in one word, like a,b, or all of them: all.</summary>
internal static class NameList
{
    private const string All = "all";

    public static Option<string[]?> Option(string name, string description, IEnumerable<string> names)
    {
        var known = names.ToArray();
        var option = new Option<string[]?>(name)
        {
            Description = description,
            HelpName = "NAME[,NAME...]",
            Arity = ArgumentArity.ExactlyOne,
            CustomParser = result =>
            {
                var text = result.Tokens[0].Value;
                if (text.Equals(All, StringComparison.OrdinalIgnoreCase)) return known;
                var given = text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
                if (given.Length == 0 || given.Except(known).Any())
                    result.AddError($"{name} is '{text}'; it must be {All}, or some of {string.Join(", ", known)}.");
                return given;
            },
        };
        Setting.Complete(option, [All, .. known]);
        return option;
    }
}
