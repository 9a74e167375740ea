using System.Net.Http.Json;
using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Krewe.Abstractions;

namespace Krewe.Cli;

/// <summary>The few calls of the OpenAI API that <c>krewe chat</c> needs, against any server that speaks it.</summary>
/// <param name="http">With the key, if one is needed.</param>
/// <param name="baseAddress">Of the API, with its version.</param>
/// <param name="think">Told what a model thinks before it answers, piece by piece, and a line break behind it.</param>
internal sealed class ChatClient(HttpClient http, Uri baseAddress, Action<string>? think = null)
{
    /// <summary>The first model that the server serves.</summary>
    public async Task<string> FirstModelAsync(CancellationToken cancellationToken)
    {
        using var answer = await http.GetAsync(Address("models"), cancellationToken);
        await DemandSuccessAsync(answer, cancellationToken);
        using var models = await JsonDocument.ParseAsync(
            await answer.Content.ReadAsStreamAsync(cancellationToken), cancellationToken: cancellationToken);
        return models.RootElement.GetProperty("data")[0].GetProperty("id").GetString()!;
    }

    /// <summary>The answer's text, piece by piece as it arrives.</summary>
    public async IAsyncEnumerable<string> StreamAsync(
        ChatRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var message = new HttpRequestMessage(HttpMethod.Post, Address("chat/completions"));
        message.Content = JsonContent.Create(request, ChatJson.Default.ChatRequest);
        using var answer = await http.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        await DemandSuccessAsync(answer, cancellationToken);
        await using var body = await answer.Content.ReadAsStreamAsync(cancellationToken);
        var isThinking = false;
        await foreach (var item in SseParser.Create(body).EnumerateAsync(cancellationToken))
        {
            if (item.Data == "[DONE]") yield break;
            using var chunk = JsonDocument.Parse(item.Data);
            if (chunk.RootElement.TryGetProperty("error", out _)) throw Failure(item.Data);
            foreach (var choice in chunk.RootElement.GetProperty("choices").EnumerateArray())
            {
                if (TextOf(choice, "reasoning_content") is { } thought)
                {
                    isThinking = true;
                    think?.Invoke(thought);
                }

                if (TextOf(choice, "content") is not { } text) continue;
                if (isThinking) think?.Invoke("\n");
                isThinking = false;
                yield return text;
            }
        }
    }

    /// <summary>Null where the delta has nothing of it.</summary>
    private static string? TextOf(JsonElement choice, string name) =>
        choice.GetProperty("delta").TryGetProperty(name, out var value) && value.GetString() is { Length: > 0 } text
            ? text
            : null;

    private static async Task DemandSuccessAsync(HttpResponseMessage answer, CancellationToken cancellationToken)
    {
        if (answer.IsSuccessStatusCode) return;
        var body = await answer.Content.ReadAsStringAsync(cancellationToken);
        throw Failure(body.Length > 0 ? body : $"HTTP {(int)answer.StatusCode}");
    }

    /// <summary>The error object's message, or the answer itself when it is none.</summary>
    private static KreweException Failure(string body)
    {
        try
        {
            using var error = JsonDocument.Parse(body);
            return new KreweException(
                ErrorCode.InvalidRequest, error.RootElement.GetProperty("error").GetProperty("message").GetString()!);
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            return new KreweException(ErrorCode.Internal, $"The server answered: {body}", innerException: e);
        }
    }

    private Uri Address(string path) => new($"{baseAddress.AbsoluteUri.TrimEnd('/')}/{path}");
}
