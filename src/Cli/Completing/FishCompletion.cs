using System.Text;

namespace Krewe.Cli.Completing;

/// <summary>A script for fish, with descriptions.</summary>
internal static class FishCompletion
{
    public static string Script(IReadOnlyList<CompletionScope> scopes)
    {
        var text = new StringBuilder("""
            # fish completion of krewe. For this shell: krewe completion fish | source; for all:
            # krewe completion fish > ~/.config/fish/completions/krewe.fish
            function __krewe_is
                set -l at ''
                for word in (commandline -opc)[2..-1]
                    switch "$at/$word"

            """);
        var paths = scopes.Where(scope => scope.Path.Length > 0).Select(scope => scope.Path);
        text.Append($"            case {string.Join(' ', paths)}\n");
        text.Append("""
                            set at "$at/$word"
                    end
                end
                test "$at" = "$argv[1]"
            end
            complete -c krewe -f

            """);
        foreach (var scope in scopes)
        {
            var here = $"complete -c krewe -n {Quote($"__krewe_is '{scope.Path}'")}";
            foreach (var (name, description) in scope.Commands)
                text.Append($"{here} -a {name} -d {Quote(description)}\n");
            foreach (var option in scope.Options)
                text.Append($"{here} -l {option.Name[2..]}{ActionOf(option)} -d {Quote(option.Description)}\n");
            if (scope.Argument is { } argument && ActionOf(argument) is not " -x" and var action)
                text.Append($"{here}{action}\n");
        }

        return text.ToString();
    }

    private static string ActionOf(CompletionEntry entry) => entry switch
    {
        { Kind: CompletionKind.Nothing } => "",
        { Words.Count: > 0 } => $" -x -a '{string.Join(' ', entry.Words)}'",
        { Kind: CompletionKind.File } => " -r -F",
        { Kind: CompletionKind.Folder } => " -x -a '(__fish_complete_directories)'",
        _ => " -x",
    };

    private static string Quote(string text) =>
        $"'{text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("'", "\\'", StringComparison.Ordinal)}'";
}
