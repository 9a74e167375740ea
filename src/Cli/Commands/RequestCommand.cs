using System.CommandLine;
using Krewe.Cli.Watching;

namespace Krewe.Cli;

/// <summary><c>krewe request ID</c>: what happened to one request, step by step.</summary>
internal sealed class RequestCommand : Command
{
    private const string Usual = "http://127.0.0.1:8080";

    private readonly Argument<string> _id = new("id")
    {
        Description = "The request: x-request-id of its answer, or the answer's own id.",
    };

    private readonly Option<Uri?> _url = Setting.Address("--url", "A silo's address.", Usual);

    private readonly Option<string?> _key = Setting.Text(
        "--key", "KEY", "API key of the request's tenant, or with the operator role. Default: KREWE_API_KEY.");

    private readonly Terminal _terminal;

    public RequestCommand(Terminal terminal)
        : base("request", "Show what happened to one request, step by step.")
    {
        _terminal = terminal;
        Add(_id);
        Add(_url);
        Add(_key);
        SetAction(RunAsync);
    }

    private async Task<int> RunAsync(ParseResult result, CancellationToken cancellationToken)
    {
        using var http = new HttpClient { Timeout = TimeSpan.FromSeconds(10) };
        var key = result.GetValue(_key) ?? Environment.GetEnvironmentVariable("KREWE_API_KEY");
        var client = new TopClient(http, result.GetValue(_url) ?? new Uri(Usual), key);
        _terminal.Ansi().Write(RequestScreen.Of(await client.RequestAsync(result.GetValue(_id)!, cancellationToken)));
        return ExitCode.Success;
    }
}
