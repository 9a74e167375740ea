using System.CommandLine;
using Krewe.Cli.Watching;
using Spectre.Console;

namespace Krewe.Cli;

/// <summary><c>krewe top</c>: the cluster in the terminal, a screen a second until Ctrl-C.</summary>
internal sealed class TopCommand : Command
{
    private const string Usual = "http://127.0.0.1:8080";

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly Option<Uri?> _url = Setting.Address("--url", "A silo's address.", Usual);

    private readonly Option<string?> _key = Setting.Text(
        "--key", "KEY", "API key with the operator role. Default: the variable KREWE_API_KEY.");

    private readonly Option<bool> _once = new("--once") { Description = "Print one screen and end." };

    private readonly Terminal _terminal;

    public TopCommand(Terminal terminal)
        : base("top", "Watch a cluster: goodput, latencies, queue, workers.")
    {
        _terminal = terminal;
        foreach (var option in (Option[])[_url, _key, _once]) Add(option);
        SetAction(RunAsync);
    }

    private async Task<int> RunAsync(ParseResult result, CancellationToken cancellationToken)
    {
        using var http = new HttpClient { Timeout = TimeSpan.FromSeconds(10) };
        var key = result.GetValue(_key) ?? Environment.GetEnvironmentVariable("KREWE_API_KEY");
        var client = new TopClient(http, result.GetValue(_url) ?? new Uri(Usual), key);
        var console = _terminal.Ansi();
        var time = TimeProvider.System;
        var (seen, at) = (await client.StateAsync(cancellationToken), time.GetTimestamp());
        var history = await client.HistoryAsync(0, cancellationToken);
        if (result.GetValue(_once) || !console.Profile.Capabilities.Interactive)
        {
            console.Write(TopScreen.Of(seen, history, null, 1, console.Profile.Width));
            return ExitCode.Success;
        }

        await console.Live(TopScreen.Of(seen, history, null, 1, console.Profile.Width)).StartAsync(async live =>
        {
            while (true)
            {
                await Task.Delay(Interval, time, cancellationToken);
                var state = await client.StateAsync(cancellationToken);
                var news = await client.HistoryAsync(history.Time.LastOrDefault(), cancellationToken);
                if (news.Time.Length > 0) history = news;
                live.UpdateTarget(TopScreen.Of(
                    state, history, seen, time.GetElapsedTime(at).TotalSeconds, console.Profile.Width));
                (seen, at) = (state, time.GetTimestamp());
            }
        });
        return ExitCode.Success;
    }
}
