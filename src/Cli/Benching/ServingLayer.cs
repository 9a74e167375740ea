using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json;
using Krewe.Abstractions;
using Krewe.Models;

namespace Krewe.Cli;

/// <summary>
/// The whole product: <c>krewe serve</c> with one worker for both phases as a child process, asked over HTTP, one
/// server-sent stream a sequence. Its memory is another process's: allocations are not known here.
/// </summary>
internal sealed class ServingLayer : IAsyncDisposable
{
    private const int BlockTokens = 16;
    private const string ReadyMark = "Krewe is ready at ";
    private const string DataMark = "data: ";
    private const string EndMark = "[DONE]";

    private static readonly TimeSpan StartLimit = TimeSpan.FromMinutes(5);

    private readonly BenchSizes _sizes;
    private readonly TimeProvider _time;
    private readonly int _vocabularySize;
    private readonly Process _server;
    private readonly HttpClient _http = new() { Timeout = Timeout.InfiniteTimeSpan };

    private ServingLayer(ModelFolder model, BenchSizes sizes, TimeProvider time, Process server)
    {
        (_sizes, _time, _vocabularySize, _server) = (sizes, time, model.Config.VocabularySize, server);
    }

    /// <exception cref="KreweException">The server ended, or was not ready in time.</exception>
    public static async Task<ServingLayer> StartAsync(
        ModelFolder model, BenchSizes sizes, TimeProvider time, CancellationToken cancellationToken)
    {
        var server = Process.Start(Describe(model, sizes))!;
        var layer = new ServingLayer(model, sizes, time, server);
        try
        {
            using var limit = new CancellationTokenSource(StartLimit, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, limit.Token);
            layer._http.BaseAddress = await layer.WaitUntilReadyAsync(either.Token);
            return layer;
        }
        catch
        {
            await layer.DisposeAsync();
            throw;
        }
    }

    public async Task<BenchRound> MeasureAsync(int concurrency, CancellationToken cancellationToken)
    {
        var window = new DecodeWindow(concurrency, _sizes.DecodeSteps, _time);
        await Task.WhenAll(Enumerable.Range(0, concurrency).Select(
            stream => FollowAsync(stream, concurrency, window, cancellationToken)));
        return window.ToRound();
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        if (!_server.HasExited) _server.Kill(entireProcessTree: true);
        await _server.WaitForExitAsync();
        _server.Dispose();
    }

    private static ProcessStartInfo Describe(ModelFolder model, BenchSizes sizes)
    {
        List<string> arguments =
        [
            "serve", "--model", model.Directory, "--port", "0", "--mixed", "1", "--no-prefix-cache",
            "--threads", Text(sizes.Threads), "--step-tokens", Text(sizes.StepTokens),
            "--max-running", Text(sizes.MaxConcurrency), "--weights", Setting.Name(sizes.Weights),
            "--kv-memory", Text(Math.Max(1 << 20, sizes.KvBytes(model.Config, BlockTokens))),
        ];
        if (sizes.KvFormat is { } format) arguments.AddRange(["--kv-format", Setting.Name(format)]);
        return OwnProgram.Bound(arguments);
    }

    private async Task<Uri> WaitUntilReadyAsync(CancellationToken cancellationToken)
    {
        var errors = _server.StandardError.ReadToEndAsync(cancellationToken);
        while (await _server.StandardOutput.ReadLineAsync(cancellationToken) is { } line)
        {
            if (line.StartsWith(ReadyMark, StringComparison.Ordinal))
                return new Uri(line[ReadyMark.Length..].Split(' ')[0] + '/');
        }

        throw new KreweException(
            ErrorCode.InvalidOptions, $"The server of the serving layer ended before it was ready:\n{await errors}");
    }

    /// <summary>Reads the stream to its end, so that nothing of it runs on into the next round.</summary>
    private async Task FollowAsync(
        int stream, int concurrency, DecodeWindow window, CancellationToken cancellationToken)
    {
        var prompt = BenchPrompts.Of(stream, _sizes.PromptTokens, _vocabularySize);
        using var request = new HttpRequestMessage(HttpMethod.Post, "completions")
        {
            Content = JsonContent.Create(
                new CompletionAsked(prompt, _sizes.StreamTokens(concurrency)),
                ServingJson.Default.CompletionAsked),
        };
        using var response = await _http.SendAsync(
            request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        if (!response.IsSuccessStatusCode)
        {
            throw new KreweException(
                ErrorCode.InvalidOptions,
                $"The server refused: {await response.Content.ReadAsStringAsync(cancellationToken)}");
        }

        using var lines = new StreamReader(await response.Content.ReadAsStreamAsync(cancellationToken));
        while (await lines.ReadLineAsync(cancellationToken) is { } line)
        {
            if (!line.StartsWith(DataMark, StringComparison.Ordinal)) continue;
            if (line.EndsWith(EndMark, StringComparison.Ordinal)) continue;
            for (var tokens = TokensOf(line.AsMemory(DataMark.Length)); tokens > 0; tokens--)
                window.Arrive(stream);
        }
    }

    private static int TokensOf(ReadOnlyMemory<char> json)
    {
        using var chunk = JsonDocument.Parse(json);
        var tokens = 0;
        if (!chunk.RootElement.TryGetProperty("choices", out var choices)) return 0;
        foreach (var choice in choices.EnumerateArray())
        {
            if (choice.TryGetProperty("token_ids", out var ids) && ids.ValueKind == JsonValueKind.Array)
                tokens += ids.GetArrayLength();
        }

        return tokens;
    }

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
}
