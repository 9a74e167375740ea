using System.CommandLine;
using System.Net.Http.Headers;
using Krewe.Abstractions;

namespace Krewe.Cli;

/// <summary><c>krewe chat</c>: a conversation with a running server, answers streamed.</summary>
internal sealed class ChatCommand : Command
{
    private const string Usual = "http://127.0.0.1:8080/v1";

    private readonly Argument<string?> _message = Setting.OptionalArgument(
        "message", "Ask this and exit; without it, a conversation.");

    private readonly Option<Uri?> _url = Setting.Address("--url", "Base address of the server.", Usual);

    private readonly Option<string?> _key = Setting.Text(
        "--key", "KEY", "API key. Default: the variable KREWE_API_KEY.");

    private readonly Option<string?> _model = Setting.Text(
        "--model", "NAME", "Model to ask. Default: the server's first.");

    private readonly Option<string?> _system = Setting.Text("--system", "TEXT", "System message.");
    private readonly Option<int?> _maxTokens = Setting.OptionalCount("--max-tokens", "Longest answer in tokens.", 1);
    private readonly Option<int?> _seed = Setting.OptionalCount("--seed", "Seed of the sampling.", int.MinValue);
    private readonly Option<float?> _temperature = Setting.OptionalNumber(
        "--temperature", "0 always takes the likeliest token. Default: the server's.", 0, 2);

    private readonly Terminal _terminal;

    public ChatCommand(Terminal terminal)
        : base("chat", "Talk to a running server.")
    {
        _terminal = terminal;
        Add(_message);
        foreach (var option in (Option[])[_url, _key, _model, _system, _maxTokens, _temperature, _seed]) Add(option);
        SetAction(RunAsync);
    }

    private async Task<int> RunAsync(ParseResult result, CancellationToken cancellationToken)
    {
        var address = result.GetValue(_url) ?? new Uri(Usual);
        using var http = new HttpClient { Timeout = Timeout.InfiniteTimeSpan };
        if ((result.GetValue(_key) ?? Environment.GetEnvironmentVariable("KREWE_API_KEY")) is { Length: > 0 } key)
            http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        var client = new ChatClient(http, address, thought =>
        {
            // The answer alone is on Out.
            _terminal.Error.Write(thought);
            _terminal.Error.Flush();
        });
        try
        {
            var model = result.GetValue(_model) ?? await client.FirstModelAsync(cancellationToken);
            var sampling = new ChatSampling(
                result.GetValue(_maxTokens), result.GetValue(_temperature), result.GetValue(_seed));
            var session = new ChatSession(client, _terminal, model, result.GetValue(_system), sampling);
            if (result.GetValue(_message) is { } message) await session.AskAsync(message, cancellationToken);
            else await session.RunAsync(cancellationToken);
            return ExitCode.Success;
        }
        catch (HttpRequestException e)
        {
            throw new KreweException(
                ErrorCode.Internal,
                $"No server answers at {address} ({e.Message}). Start one with 'krewe serve', or name one with --url.",
                innerException: e);
        }
    }
}
