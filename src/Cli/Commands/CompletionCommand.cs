using System.CommandLine;
using Krewe.Cli.Completing;

namespace Krewe.Cli;

/// <summary><c>krewe completion bash</c>: a script that has a shell complete commands, options and values.</summary>
internal sealed class CompletionCommand : Command
{
    private readonly Argument<string> _shell = new("shell")
    {
        Description = "bash, zsh or fish.",
        CustomParser = result =>
        {
            var text = result.Tokens[0].Value;
            if (!Scripts.ContainsKey(text))
                result.AddError($"<shell> is '{text}'; it must be one of {string.Join(", ", Scripts.Keys)}.");
            return text;
        },
    };

    private static readonly Dictionary<string, Func<IReadOnlyList<CompletionScope>, string>> Scripts = new()
    {
        ["bash"] = BashCompletion.Script,
        ["zsh"] = ZshCompletion.Script,
        ["fish"] = FishCompletion.Script,
    };

    public CompletionCommand(Terminal terminal)
        : base("completion", "Print a script for a shell: source <(krewe completion bash).")
    {
        _shell.CompletionSources.Add([.. Scripts.Keys]);
        Add(_shell);
        SetAction(result =>
        {
            terminal.Out.Write(Scripts[result.GetValue(_shell)!](
                CompletionTable.Of(result.RootCommandResult.Command)));
            return ExitCode.Success;
        });
    }
}
