using System.Text.Json.Nodes;
using Krewe.Abstractions;
using Krewe.Silo.Gateway.Answers;
using Krewe.Silo.Gateway.Json;

namespace Krewe.Silo.Gateway.Messages;

/// <summary>Anthropic's /v1/messages.</summary>
internal sealed class MessagesFormat(AnswerContext context) : IAnswerFormat
{
    private AnswerEnd? _end;

    public IEnumerable<AnswerEvent> Open(AnswerUsage usage)
    {
        yield return Event("message_start", new JsonObject { ["message"] = Message([], null, usage) });
        yield return Event("content_block_start", new JsonObject
        {
            ["index"] = 0,
            ["content_block"] = TextBlock(""),
        });
    }

    public IEnumerable<AnswerEvent> Next(int sequence, AnswerDelta delta, AnswerUsage usage)
    {
        _end = delta.End;
        if (delta.Text.Length == 0) yield break;
        yield return Event("content_block_delta", new JsonObject
        {
            ["index"] = 0,
            ["delta"] = new JsonObject { ["type"] = "text_delta", ["text"] = delta.Text },
        });
    }

    public IEnumerable<AnswerEvent> Close(AnswerUsage usage)
    {
        yield return Event("content_block_stop", new JsonObject { ["index"] = 0 });
        yield return Event("message_delta", new JsonObject
        {
            ["delta"] = new JsonObject
            {
                ["stop_reason"] = StopReasonOf(_end!),
                ["stop_sequence"] = _end!.StopString,
            },
            ["usage"] = new JsonObject { ["output_tokens"] = usage.OutputTokens },
        });
        yield return Event("message_stop", []);
    }

    public IEnumerable<AnswerEvent> Fail(KreweException error) => [new(Error(error).ToBytes(), "error")];

    public byte[] Whole(IReadOnlyList<WholeChoice> choices, AnswerUsage usage) =>
        Message([TextBlock(choices[0].Text)], choices[0].End, usage).ToBytes();

    /// <summary>An error as this API writes it, in a stream or alone.</summary>
    public static JsonObject Error(KreweException error)
    {
        var status = ErrorCatalog.Describe(error.Code).HttpStatus;
        return new JsonObject
        {
            ["type"] = "error",
            ["error"] = new JsonObject
            {
                ["type"] = status switch
                {
                    401 => "authentication_error",
                    403 => "permission_error",
                    404 => "not_found_error",
                    413 => "request_too_large",
                    429 => "rate_limit_error",
                    503 => "overloaded_error",
                    >= 500 => "api_error",
                    _ => "invalid_request_error",
                },
                ["message"] = error.Message,
            },
        };
    }

    private JsonObject Message(JsonArray content, AnswerEnd? end, AnswerUsage usage) => new()
    {
        ["id"] = context.Head.Id,
        ["type"] = "message",
        ["role"] = "assistant",
        ["model"] = context.Head.Model,
        ["content"] = content,
        ["stop_reason"] = end is null ? null : StopReasonOf(end),
        ["stop_sequence"] = end?.StopString,
        ["usage"] = new JsonObject
        {
            ["input_tokens"] = usage.PromptTokens,
            ["cache_read_input_tokens"] = usage.CachedTokens ?? 0,
            ["output_tokens"] = usage.OutputTokens,
        },
    };

    private static string StopReasonOf(AnswerEnd end) => end switch
    {
        { StopString: not null } => "stop_sequence",
        { FinishReason: "length" } => "max_tokens",
        _ => "end_turn",
    };

    private static JsonObject TextBlock(string text) => new() { ["type"] = "text", ["text"] = text };

    private static AnswerEvent Event(string type, JsonObject body)
    {
        body["type"] = type;
        return new AnswerEvent(body.ToBytes(), type);
    }
}
