using System.CommandLine;

namespace Krewe.Cli;

/// <summary><c>krewe cluster down</c>.</summary>
internal sealed class ClusterDownCommand : Command
{
    private readonly Option<string?> _folder = ClusterCommand.Folder();
    private readonly Terminal _terminal;

    public ClusterDownCommand(Terminal terminal)
        : base("down", "Stop it: running requests may finish, then silos, workers and Redis end.")
    {
        _terminal = terminal;
        Add(_folder);
        SetAction(RunAsync);
    }

    private async Task<int> RunAsync(ParseResult result, CancellationToken cancellationToken)
    {
        var cluster = ClusterCommand.Open(result.GetValue(_folder));
        var members = cluster.Read();
        if (members.Count == 0)
        {
            _terminal.Say("no cluster runs here.");
            return ExitCode.Success;
        }

        await ClusterEnd.EndAsync(members, TimeProvider.System, cancellationToken);
        cluster.Forget();
        _terminal.Say($"{members.Count} processes have ended.");
        return ExitCode.Success;
    }
}
