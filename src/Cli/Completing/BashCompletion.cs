using System.Text;

namespace Krewe.Cli.Completing;

/// <summary>A script for bash 3.2 and newer. It is all there is: no key press starts krewe.</summary>
internal static class BashCompletion
{
    public static string Script(IReadOnlyList<CompletionScope> scopes)
    {
        var text = new StringBuilder("""
            # bash completion of krewe. For this shell: source <(krewe completion bash); for all: that in ~/.bashrc
            _krewe() {
              local IFS=$'\n' cur=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} at= words= kind= i
              # --option=value comes as three words.
              if [ "$cur" = = ]; then cur=
              elif [ "$before" = = ]; then before=${COMP_WORDS[COMP_CWORD-2]}; fi
              for ((i = 1; i < COMP_CWORD; i++)); do
                case "$at/${COMP_WORDS[i]}" in

            """);
        var paths = scopes.Where(scope => scope.Path.Length > 0).Select(scope => scope.Path);
        text.Append($"      {string.Join('|', paths)}) at=$at/${{COMP_WORDS[i]}} ;;\n");
        text.Append("    esac\n  done\n  case \"$at $before\" in\n");
        foreach (var (action, patterns) in ValueCases(scopes))
            text.Append($"    {string.Join('|', patterns)}) {action} ;;\n");
        text.Append("    *)\n      case \"$at\" in\n");
        foreach (var scope in scopes)
            text.Append($"        {Quote(scope.Path)}) words={Lines(WordsOf(scope))}{ArgumentOf(scope)} ;;\n");
        text.Append("""
                  esac
                  ;;
              esac
              COMPREPLY=()
              if [ -n "$words" ]; then COMPREPLY=($(compgen -W "$words" -- "$cur")); fi
              if [ -n "$kind" ] && [ "${cur#-}" = "$cur" ]; then
                compopt -o filenames 2>/dev/null
                COMPREPLY+=($(compgen "$kind" -- "$cur"))
              fi
            }
            complete -F _krewe krewe

            """);
        return text.ToString();
    }

    /// <summary>What is offered behind an option, and behind which ones, by command.</summary>
    private static IEnumerable<(string Action, IEnumerable<string> Patterns)> ValueCases(
        IReadOnlyList<CompletionScope> scopes) =>
        from scope in scopes
        from option in scope.Options
        where option.Kind != CompletionKind.Nothing
        group Quote($"{scope.Path} {option.Name}") by ActionOf(option) into cases
        select (cases.Key, cases.AsEnumerable());

    private static string ActionOf(CompletionEntry entry) => entry.Kind switch
    {
        CompletionKind.File => "kind=-f",
        CompletionKind.Folder => "kind=-d",
        _ => $"words={Lines(entry.Words)}",
    };

    private static IEnumerable<string> WordsOf(CompletionScope scope) =>
        [.. scope.Commands.Select(one => one.Name), .. scope.Options.Select(one => one.Name),
            .. scope.Argument?.Words ?? []];

    private static string ArgumentOf(CompletionScope scope) => scope.Argument is { Words.Count: 0 } argument
        && argument.Kind is CompletionKind.File or CompletionKind.Folder
            ? $"; {ActionOf(argument)}"
            : "";

    /// <summary>Words are split at line ends, so that none is split in itself.</summary>
    private static string Lines(IEnumerable<string> words) => $"$'{string.Join("\\n", words)}'";

    private static string Quote(string text) => $"'{text}'";
}
