using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Krewe.Abstractions;
using Krewe.Silo.Gateway.Answers;
using Krewe.Silo.Gateway.Constraints;
using Krewe.Silo.Gateway.Json;

namespace Krewe.Silo.Gateway.Messages;

/// <summary>Anthropic's /v1/messages.</summary>
internal sealed class MessagesFormat(AnswerContext context) : IAnswerFormat
{
    private readonly AnswerCalls _calls = new(context.Request);
    private readonly StringBuilder _thoughts = new();
    private AnswerEnd? _end;
    private int _blocks;
    private Block _open = Block.None;

    private enum Block
    {
        None,
        Thinking,
        Text,
        Call,
    }

    public AnswerEvent? Ping { get; } = Event("ping", []);

    public IEnumerable<AnswerEvent> Open(AnswerUsage usage)
    {
        yield return Event("message_start", new JsonObject { ["message"] = Message([], null, usage) });
        // With functions and thoughts it shows later whether there is a text at all.
        if (context.Request is not { Tools: null, Reasoning: null }) yield break;
        foreach (var begun in Begin(Block.Text, TextBlock(""))) yield return begun;
    }

    public IEnumerable<AnswerEvent> Next(int sequence, AnswerDelta delta, AnswerUsage usage)
    {
        _end = delta.End;
        var grown = _calls.Append(sequence, delta);
        if (grown.Reasoning is { } thoughts)
        {
            foreach (var begun in Begin(Block.Thinking, ThinkingBlock("", ""))) yield return begun;
            _thoughts.Append(thoughts);
            yield return Delta(new JsonObject { ["type"] = "thinking_delta", ["thinking"] = thoughts });
        }

        if (grown.Text.Length > 0)
        {
            foreach (var begun in Begin(Block.Text, TextBlock(""))) yield return begun;
            yield return Delta(new JsonObject { ["type"] = "text_delta", ["text"] = grown.Text });
        }

        foreach (var call in grown.Calls)
        {
            if (call.Name is not null)
            {
                foreach (var begun in Begin(Block.Call, CallBlock(sequence, call, []))) yield return begun;
            }

            if (call.Arguments.Length > 0)
            {
                yield return Delta(new JsonObject
                {
                    ["type"] = "input_json_delta",
                    ["partial_json"] = call.Arguments,
                });
            }
        }
    }

    public IEnumerable<AnswerEvent> Close(AnswerUsage usage)
    {
        if (_open == Block.None && _blocks == 0)
        {
            foreach (var begun in Begin(Block.Text, TextBlock(""))) yield return begun;
        }

        foreach (var ended in End()) yield return ended;
        yield return Event("message_delta", new JsonObject
        {
            ["delta"] = new JsonObject
            {
                ["stop_reason"] = StopReasonOf(_end!, _calls.CallsSomething(0)),
                ["stop_sequence"] = _end!.StopString,
            },
            ["usage"] = new JsonObject { ["output_tokens"] = usage.OutputTokens },
        });
        yield return Event("message_stop", []);
    }

    public IEnumerable<AnswerEvent> Fail(KreweException error) => [new(Error(error).ToBytes(), "error")];

    public byte[] Whole(IReadOnlyList<WholeChoice> choices, AnswerUsage usage)
    {
        var (text, calls, thoughts) = _calls.Read(choices[0]);
        var content = new JsonArray();
        if (thoughts is not null) content.Add(ThinkingBlock(thoughts, SignatureOf(thoughts)));
        if (text.Length > 0 || (calls.Count == 0 && thoughts is null)) content.Add(TextBlock(text));
        foreach (var call in calls) content.Add(CallBlock(0, call, (JsonObject)JsonNode.Parse(call.Arguments)!));
        return Message(content, choices[0].End, usage).ToBytes();
    }

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
        ["stop_reason"] = end is null ? null : StopReasonOf(end, _calls.CallsSomething(0)),
        ["stop_sequence"] = end?.StopString,
        ["usage"] = new JsonObject
        {
            ["input_tokens"] = usage.PromptTokens,
            ["cache_read_input_tokens"] = usage.CachedTokens ?? 0,
            ["output_tokens"] = usage.OutputTokens,
        },
    };

    private static string StopReasonOf(AnswerEnd end, bool calls) => end switch
    {
        { StopString: not null } => "stop_sequence",
        { FinishReason: "length" } => "max_tokens",
        _ when calls => "tool_use",
        _ => "end_turn",
    };

    /// <summary>Nothing when a block of this kind is open and goes on; each call has a block of its own.</summary>
    private IEnumerable<AnswerEvent> Begin(Block kind, JsonObject block)
    {
        if (_open == kind && kind != Block.Call) yield break;
        foreach (var ended in End()) yield return ended;
        _open = kind;
        yield return Event("content_block_start", new JsonObject { ["index"] = _blocks, ["content_block"] = block });
    }

    /// <summary>Nothing when no block is open.</summary>
    private IEnumerable<AnswerEvent> End()
    {
        if (_open == Block.None) yield break;
        if (_open == Block.Thinking)
        {
            yield return Delta(new JsonObject
            {
                ["type"] = "signature_delta",
                ["signature"] = SignatureOf(_thoughts.ToString()),
            });
        }

        _open = Block.None;
        yield return Event("content_block_stop", new JsonObject { ["index"] = _blocks++ });
    }

    private AnswerEvent Delta(JsonObject delta) =>
        Event("content_block_delta", new JsonObject { ["index"] = _blocks, ["delta"] = delta });

    private JsonObject CallBlock(int sequence, CallDelta call, JsonObject input) => new()
    {
        ["type"] = "tool_use",
        ["id"] = _calls.IdOf(sequence, call.Index, "toolu_"),
        ["name"] = call.Name,
        ["input"] = input,
    };

    private static JsonObject ThinkingBlock(string thoughts, string signature) =>
        new() { ["type"] = "thinking", ["thinking"] = thoughts, ["signature"] = signature };

    /// <summary>A digest: clients want one to send thoughts back. It proves nothing, and nobody checks it.</summary>
    private static string SignatureOf(string thoughts) =>
        Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(thoughts)));

    private static JsonObject TextBlock(string text) => new() { ["type"] = "text", ["text"] = text };

    private static AnswerEvent Event(string type, JsonObject body)
    {
        body["type"] = type;
        return new AnswerEvent(body.ToBytes(), type);
    }
}
