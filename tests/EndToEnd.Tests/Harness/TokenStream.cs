using System.Net;
using System.Net.ServerSentEvents;
using System.Text.Json;

namespace Krewe.EndToEnd.Tests.Harness;

/// <summary>How a streamed answer went: its tokens, and the one way in which it ended.</summary>
/// <param name="Tokens">All token ids, in order.</param>
/// <param name="FinishReason">Null when it did not finish.</param>
/// <param name="ErrorCode">The error object's code; null when none came.</param>
public sealed record StreamedAnswer(int[] Tokens, string? FinishReason, string? ErrorCode);

/// <summary>A streamed completion that is being read. Disposing it early is a client that goes away.</summary>
public sealed class TokenStream(HttpResponseMessage answer) : IDisposable
{
    public HttpStatusCode Status => answer.StatusCode;

    public string RequestId => answer.Headers.GetValues("x-request-id").Single();

    /// <summary>Reads to the end, or until <paramref name="enough"/> tokens have come.</summary>
    public async Task<StreamedAnswer> ReadAsync(
        int enough = int.MaxValue, CancellationToken cancellationToken = default)
    {
        List<int> tokens = [];
        if (!answer.IsSuccessStatusCode)
        {
            using var refusal = JsonDocument.Parse(await answer.Content.ReadAsStringAsync(cancellationToken));
            return new StreamedAnswer([], null, Code(refusal.RootElement));
        }

        string? finish = null, error = null;
        try
        {
            var body = await answer.Content.ReadAsStreamAsync(cancellationToken);
            await foreach (var item in SseParser.Create(body).EnumerateAsync(cancellationToken))
            {
                if (item.Data == "[DONE]") break;
                using var chunk = JsonDocument.Parse(item.Data);
                if (chunk.RootElement.TryGetProperty("error", out _))
                {
                    error = Code(chunk.RootElement);
                    continue;
                }

                foreach (var choice in chunk.RootElement.GetProperty("choices").EnumerateArray())
                {
                    if (choice.TryGetProperty("token_ids", out var ids) && ids.ValueKind == JsonValueKind.Array)
                        tokens.AddRange(TokenRequest.Ids(ids));
                    if (choice.GetProperty("finish_reason").GetString() is { } reason) finish = reason;
                }

                if (tokens.Count >= enough) break;
            }
        }
        catch (Exception e) when (error is not null && e is HttpRequestException or IOException)
        {
            // A connection cut behind an error event is how a broken stream is meant to end.
        }

        return new StreamedAnswer([.. tokens], finish, error);
    }

    public void Dispose() => answer.Dispose();

    private static string? Code(JsonElement root) => root.GetProperty("error").GetProperty("code").GetString();
}
