using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Krewe.Abstractions;
using Krewe.Silo.Gateway.Answers;
using Krewe.Silo.Gateway.Json;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Gateway.Responses;

/// <summary>
/// /v1/responses. Its events are named and numbered, each start has its end, and the last one carries the whole
/// response.
/// </summary>
internal sealed class ResponsesFormat(AnswerContext context) : IAnswerFormat
{
    private readonly StringBuilder _text = new();
    private readonly JsonArray _logprobs = [];
    private AnswerEnd? _end;
    private int _sequenceNumber;

    private AnswerHead Head => context.Head;

    private string ItemId => $"msg_{context.Request.Spec.RequestId}";

    public IEnumerable<AnswerEvent> Open(AnswerUsage usage)
    {
        yield return Event("response.created", new JsonObject { ["response"] = Response("in_progress", null) });
        yield return Event("response.in_progress", new JsonObject { ["response"] = Response("in_progress", null) });
        yield return Event("response.output_item.added", new JsonObject
        {
            ["output_index"] = 0,
            ["item"] = Item("in_progress", withContent: false),
        });
        yield return Event("response.content_part.added", Place(new JsonObject { ["part"] = Part("", []) }));
    }

    public IEnumerable<AnswerEvent> Next(int sequence, AnswerDelta delta, AnswerUsage usage)
    {
        var logprobs = new JsonArray();
        if (context.Request.Logprobs is not null && delta is { Token: { } token, Logprobs: { } of })
            logprobs.Add(Logprob(token, of));
        _text.Append(delta.Text);
        foreach (var entry in logprobs) _logprobs.Add(entry!.DeepClone());
        _end = delta.End;
        if (delta.Text.Length == 0 && logprobs.Count == 0) return [];
        return
        [
            Event("response.output_text.delta", Place(new JsonObject
            {
                ["delta"] = delta.Text,
                ["logprobs"] = logprobs,
            })),
        ];
    }

    public IEnumerable<AnswerEvent> Close(AnswerUsage usage)
    {
        yield return Event("response.output_text.done", Place(new JsonObject
        {
            ["text"] = _text.ToString(),
            ["logprobs"] = _logprobs.DeepClone(),
        }));
        yield return Event("response.content_part.done", Place(new JsonObject
        {
            ["part"] = Part(_text.ToString(), _logprobs),
        }));
        yield return Event("response.output_item.done", new JsonObject
        {
            ["output_index"] = 0,
            ["item"] = Item(StatusOf(_end!), withContent: true),
        });
        var status = StatusOf(_end!);
        yield return Event($"response.{status}", new JsonObject { ["response"] = Response(status, usage) });
    }

    public IEnumerable<AnswerEvent> Fail(KreweException error)
    {
        var failed = Response("failed", null);
        failed["error"] = new JsonObject
        {
            ["code"] = ErrorCatalog.Describe(error.Code).Code,
            ["message"] = error.Message,
        };
        return [Event("response.failed", new JsonObject { ["response"] = failed })];
    }

    public byte[] Whole(IReadOnlyList<WholeChoice> choices, AnswerUsage usage)
    {
        var choice = choices[0];
        _text.Append(choice.Text);
        _end = choice.End;
        if (context.Request.Logprobs is not null)
        {
            foreach (var (token, of) in choice.Tokens.Zip(choice.Logprobs)) _logprobs.Add(Logprob(token, of));
        }

        return Response(StatusOf(choice.End), usage).ToBytes();
    }

    private static string StatusOf(AnswerEnd end) => end.FinishReason == "length" ? "incomplete" : "completed";

    private AnswerEvent Event(string type, JsonObject body)
    {
        body["type"] = type;
        body["sequence_number"] = _sequenceNumber++;
        return new AnswerEvent(body.ToBytes(), type);
    }

    private JsonObject Place(JsonObject body)
    {
        body["item_id"] = ItemId;
        body["output_index"] = 0;
        body["content_index"] = 0;
        return body;
    }

    /// <param name="status">Of the response.</param>
    /// <param name="usage">Null while it is made: then it has no output yet.</param>
    private JsonObject Response(string status, AnswerUsage? usage)
    {
        var sampling = context.Request.Spec.Sampling;
        return new JsonObject
        {
            ["id"] = Head.Id,
            ["object"] = "response",
            ["created_at"] = Head.Created,
            ["status"] = status,
            ["error"] = null,
            ["incomplete_details"] = status == "incomplete"
                ? new JsonObject { ["reason"] = "max_output_tokens" }
                : null,
            ["instructions"] = null,
            ["max_output_tokens"] = context.Request.Spec.MaxOutputTokens,
            ["model"] = Head.Model,
            ["output"] = usage is null ? new JsonArray() : new JsonArray(Item(status, withContent: true)),
            ["parallel_tool_calls"] = true,
            ["previous_response_id"] = null,
            ["store"] = false,
            ["temperature"] = sampling.Temperature,
            ["text"] = new JsonObject { ["format"] = new JsonObject { ["type"] = "text" } },
            ["tool_choice"] = "auto",
            ["tools"] = new JsonArray(),
            ["top_p"] = sampling.TopP,
            ["truncation"] = "disabled",
            ["metadata"] = new JsonObject(),
            ["usage"] = usage is { } used ? Usage(used) : null,
        };
    }

    private static JsonObject Usage(AnswerUsage usage) => new()
    {
        ["input_tokens"] = usage.PromptTokens,
        ["input_tokens_details"] = new JsonObject { ["cached_tokens"] = usage.CachedTokens ?? 0 },
        ["output_tokens"] = usage.OutputTokens,
        ["output_tokens_details"] = new JsonObject { ["reasoning_tokens"] = 0 },
        ["total_tokens"] = usage.PromptTokens + usage.OutputTokens,
    };

    private JsonObject Item(string status, bool withContent) => new()
    {
        ["id"] = ItemId,
        ["type"] = "message",
        ["role"] = "assistant",
        ["status"] = status,
        ["content"] = withContent ? new JsonArray(Part(_text.ToString(), _logprobs)) : new JsonArray(),
    };

    private static JsonObject Part(string text, JsonArray logprobs) => new()
    {
        ["type"] = "output_text",
        ["text"] = text,
        ["annotations"] = new JsonArray(),
        ["logprobs"] = logprobs.DeepClone(),
    };

    private JsonNode Logprob(int token, Wire.TokenLogprobs of) => JsonSerializer.SerializeToNode(
        context.Logprobs.Chat(token, of, context.Request.Logprobs!.Value), GatewayJson.Instance.ChatTokenLogprob)!;
}
