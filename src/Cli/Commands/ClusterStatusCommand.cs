using System.CommandLine;
using Spectre.Console;

namespace Krewe.Cli;

/// <summary><c>krewe cluster status</c>: each process, whether it lives, and whether a silo is ready.</summary>
internal sealed class ClusterStatusCommand : Command
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(6);

    private readonly Option<string?> _folder = ClusterCommand.Folder();
    private readonly Terminal _terminal;

    public ClusterStatusCommand(Terminal terminal)
        : base("status", "Show its processes. Exit code 0 when all live and every silo is ready.")
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
            _terminal.Say("no cluster runs here; start one with 'krewe cluster up'.");
            return ExitCode.Failure;
        }

        using var http = new HttpClient { Timeout = Patience };
        var table = new Table().NoBorder().AddColumns("process", "id", "state", "address", "log");
        var isWhole = true;
        foreach (var member in members)
        {
            var state = await StateOfAsync(member, http, cancellationToken);
            isWhole &= state is "alive" or "ready";
            table.AddRow(
                member.Name, member.Pid.ToString(provider: null), state, member.Address ?? "",
                Markup.Escape(cluster.LogOf(member.Name)));
        }

        _terminal.Ansi().Write(table);
        return isWhole ? ExitCode.Success : ExitCode.Failure;
    }

    private static async Task<string> StateOfAsync(
        ClusterMember member, HttpClient http, CancellationToken cancellationToken)
    {
        if (!DetachedProcess.IsAlive(member)) return "ended";
        if (member.Kind != MemberKind.Silo) return "alive";
        try
        {
            using var answer = await http.GetAsync(new Uri($"{member.Address}/health/ready"), cancellationToken);
            return answer.IsSuccessStatusCode ? "ready" : "not ready";
        }
        catch (Exception e) when (e is HttpRequestException or TaskCanceledException)
        {
            return "does not answer";
        }
    }
}
