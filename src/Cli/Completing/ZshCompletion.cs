using System.Text;

namespace Krewe.Cli.Completing;

/// <summary>A script for zsh, with descriptions.</summary>
internal static class ZshCompletion
{
    public static string Script(IReadOnlyList<CompletionScope> scopes)
    {
        var text = new StringBuilder("""
            #compdef krewe
            # zsh completion of krewe. For this shell: source <(krewe completion zsh); for all: put that into ~/.zshrc,
            # behind compinit
            _krewe() {
              local at= before=${words[CURRENT-1]} i
              local -a commands options
              if compset -P '--*='; then before=${words[CURRENT]%%=*}; fi
              for ((i = 2; i < CURRENT; i++)); do
                case "$at/${words[i]}" in

            """);
        var paths = scopes.Where(scope => scope.Path.Length > 0).Select(scope => scope.Path);
        text.Append($"      {string.Join('|', paths)}) at=$at/${{words[i]}} ;;\n");
        text.Append("    esac\n  done\n  case \"$at $before\" in\n");
        foreach (var scope in scopes)
        {
            foreach (var option in scope.Options.Where(one => one.Kind != CompletionKind.Nothing))
                text.Append($"    {Quote($"{scope.Path} {option.Name}")}) {ActionOf(option)}; return ;;\n");
        }

        text.Append("  esac\n  case \"$at\" in\n");
        foreach (var scope in scopes)
        {
            text.Append($"    {Quote(scope.Path)})\n");
            var commands = scope.Commands.Select(one => Described(one.Name, one.Description));
            var options = scope.Options.Select(one => Described(one.Name, one.Description));
            text.Append($"      commands=({string.Join(' ', commands)})\n");
            text.Append($"      options=({string.Join(' ', options)})\n");
            if (scope.Argument is { } argument) text.Append($"      {ActionOf(argument)}\n");
            text.Append("      ;;\n");
        }

        text.Append("""
              esac
              if ((${#commands})); then _describe command commands; fi
              _describe option options
            }
            compdef _krewe krewe

            """);
        return text.ToString();
    }

    private static string ActionOf(CompletionEntry entry) => entry switch
    {
        { Words.Count: > 0 } => $"compadd -- {string.Join(' ', entry.Words)}",
        { Kind: CompletionKind.File } => "_files",
        { Kind: CompletionKind.Folder } => "_files -/",
        _ => $"_message {Quote(entry.Description)}",
    };

    /// <summary>A colon ends the name.</summary>
    private static string Described(string name, string description) => Quote($"{name}:{description}");

    private static string Quote(string text) => $"'{text.Replace("'", "'\\''", StringComparison.Ordinal)}'";
}
