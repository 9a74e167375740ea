using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Krewe.EndToEnd.Tests.Harness;

/// <summary>A completion of token ids: all that decides its tokens.</summary>
public sealed record TokenRequest(
    IReadOnlyList<int> Prompt, int MaxTokens, double Temperature, long Seed, bool IgnoreEos)
{
    /// <summary>vLLM's structured_outputs as JSON; null = anything may be written.</summary>
    public string? Structured { get; init; }

    public override string ToString() => $"{Prompt.Count} tokens, temperature {Temperature}, seed {Seed}";

    public Task<int[]> AskAsync(KreweCluster cluster, CancellationToken cancellationToken = default) =>
        AskAsync(cluster.Http, () => cluster.LogTail(), cancellationToken);

    /// <param name="log">What to show when the answer is an error.</param>
    public async Task<int[]> AskAsync(
        HttpClient http, Func<string> log, CancellationToken cancellationToken = default)
    {
        using var answer = await http.PostAsJsonAsync("/v1/completions", Body(stream: false), cancellationToken);
        var text = await answer.Content.ReadAsStringAsync(cancellationToken);
        Assert.True(answer.IsSuccessStatusCode, $"{this}: {(int)answer.StatusCode} {text}\n{log()}");
        using var json = JsonDocument.Parse(text);
        return Ids(json.RootElement.GetProperty("choices")[0].GetProperty("token_ids"));
    }

    /// <summary>Reads a streamed answer event by event.</summary>
    public async Task<TokenStream> OpenAsync(KreweCluster cluster, CancellationToken cancellationToken = default)
    {
        using var message = new HttpRequestMessage(HttpMethod.Post, "/v1/completions");
        message.Content = JsonContent.Create(Body(stream: true));
        var answer = await cluster.Http.SendAsync(
            message, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        return new TokenStream(answer);
    }

    internal static int[] Ids(JsonElement array) => [.. array.EnumerateArray().Select(id => id.GetInt32())];

    private JsonObject Body(bool stream) => new()
    {
        ["model"] = "tiny",
        ["prompt"] = new JsonArray([.. Prompt.Select(id => (JsonNode)id)]),
        ["max_tokens"] = MaxTokens,
        ["temperature"] = Temperature,
        ["seed"] = Seed,
        ["ignore_eos"] = IgnoreEos,
        ["return_token_ids"] = true,
        ["stream"] = stream,
        ["structured_outputs"] = Structured is null ? null : JsonNode.Parse(Structured),
    };
}
