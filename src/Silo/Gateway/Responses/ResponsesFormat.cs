using System.Text.Json;
using System.Text.Json.Nodes;
using Krewe.Abstractions;
using Krewe.Silo.Gateway.Answers;
using Krewe.Silo.Gateway.Constraints;
using Krewe.Silo.Gateway.Json;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Gateway.Responses;

/// <summary>
/// /v1/responses. Its events are named and numbered, each start has its end, and the last one carries the whole
/// response. The text is one item of the output, each call of a function another.
/// </summary>
internal sealed class ResponsesFormat(AnswerContext context) : IAnswerFormat
{
    private readonly AnswerCalls _calls = new(context.Request);
    private readonly List<ResponseItem> _items = [];
    private AnswerEnd? _end;
    private ResponseItem? _open;
    private int _sequenceNumber;

    private AnswerHead Head => context.Head;

    private string MessageId => $"msg_{context.Request.Spec.RequestId}";

    public IEnumerable<AnswerEvent> Open(AnswerUsage usage)
    {
        yield return Event("response.created", new JsonObject { ["response"] = Response("in_progress", null) });
        yield return Event("response.in_progress", new JsonObject { ["response"] = Response("in_progress", null) });
        // With functions it shows later whether there is a text at all.
        if (context.Request.Tools is not null) yield break;
        foreach (var begun in BeginMessage()) yield return begun;
    }

    public IEnumerable<AnswerEvent> Next(int sequence, AnswerDelta delta, AnswerUsage usage)
    {
        _end = delta.End;
        var grown = _calls.Append(sequence, delta);
        var logprobs = new JsonArray();
        var scores = grown.Calls.Count == 0 && _open is not { IsCall: true };
        if (scores && context.Request.Logprobs is not null && delta is { Token: { } token, Logprobs: { } of })
            logprobs.Add(Logprob(token, of));
        if (grown.Text.Length > 0 || logprobs.Count > 0)
        {
            foreach (var begun in BeginMessage()) yield return begun;
            _open!.Text.Append(grown.Text);
            foreach (var entry in logprobs) _open.Logprobs.Add(entry!.DeepClone());
            yield return Event("response.output_text.delta", Place(_open, new JsonObject
            {
                ["delta"] = grown.Text,
                ["logprobs"] = logprobs,
            }));
        }

        foreach (var call in grown.Calls)
        {
            if (call.Name is not null)
            {
                foreach (var begun in BeginCall(sequence, call)) yield return begun;
            }

            if (call.Arguments.Length == 0) continue;
            _open!.Text.Append(call.Arguments);
            yield return Event("response.function_call_arguments.delta", Place(_open, new JsonObject
            {
                ["delta"] = call.Arguments,
            }));
        }
    }

    public IEnumerable<AnswerEvent> Close(AnswerUsage usage)
    {
        var status = StatusOf(_end!);
        if (_items.Count == 0)
        {
            foreach (var begun in BeginMessage()) yield return begun;
        }

        foreach (var ended in EndItem(status)) yield return ended;
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
        var (text, calls, _) = _calls.Read(choice);
        _end = choice.End;
        if (text.Length > 0 || calls.Count == 0)
        {
            var message = Add(MessageId, null, null);
            message.Text.Append(text);
            if (context.Request.Logprobs is not null && calls.Count == 0)
            {
                foreach (var (token, of) in choice.Tokens.Zip(choice.Logprobs))
                    message.Logprobs.Add(Logprob(token, of));
            }
        }

        foreach (var call in calls) AddCall(choice.Sequence, call).Text.Append(call.Arguments);
        return Response(StatusOf(choice.End), usage).ToBytes();
    }

    private static string StatusOf(AnswerEnd end) => end.FinishReason == "length" ? "incomplete" : "completed";

    private ResponseItem Add(string id, string? callId, string? name)
    {
        var item = new ResponseItem(_items.Count, id, callId, name);
        _items.Add(item);
        return item;
    }

    private ResponseItem AddCall(int sequence, CallDelta call) => Add(
        _calls.IdOf(sequence, call.Index, "fc_"), _calls.IdOf(sequence, call.Index), call.Name);

    /// <summary>Nothing when the message is open.</summary>
    private IEnumerable<AnswerEvent> BeginMessage()
    {
        if (_open is { IsCall: false }) yield break;
        foreach (var ended in EndItem("completed")) yield return ended;
        _open = Add(MessageId, null, null);
        yield return Event("response.output_item.added", new JsonObject
        {
            ["output_index"] = _open.Index,
            ["item"] = _open.ToJson("in_progress", withContent: false),
        });
        yield return Event("response.content_part.added", Place(_open, new JsonObject
        {
            ["part"] = _open.ToPart(withContent: false),
        }));
    }

    private IEnumerable<AnswerEvent> BeginCall(int sequence, CallDelta call)
    {
        foreach (var ended in EndItem("completed")) yield return ended;
        _open = AddCall(sequence, call);
        yield return Event("response.output_item.added", new JsonObject
        {
            ["output_index"] = _open.Index,
            ["item"] = _open.ToJson("in_progress", withContent: false),
        });
    }

    /// <summary>Nothing when none is open.</summary>
    private IEnumerable<AnswerEvent> EndItem(string status)
    {
        if (_open is not { } item) yield break;
        _open = null;
        if (item.IsCall)
        {
            yield return Event("response.function_call_arguments.done", Place(item, new JsonObject
            {
                ["name"] = item.Name,
                ["arguments"] = item.Text.ToString(),
            }));
        }
        else
        {
            yield return Event("response.output_text.done", Place(item, new JsonObject
            {
                ["text"] = item.Text.ToString(),
                ["logprobs"] = item.Logprobs.DeepClone(),
            }));
            yield return Event("response.content_part.done", Place(item, new JsonObject { ["part"] = item.ToPart() }));
        }

        yield return Event("response.output_item.done", new JsonObject
        {
            ["output_index"] = item.Index,
            ["item"] = item.ToJson(status, withContent: true),
        });
    }

    private AnswerEvent Event(string type, JsonObject body)
    {
        body["type"] = type;
        body["sequence_number"] = _sequenceNumber++;
        return new AnswerEvent(body.ToBytes(), type);
    }

    private static JsonObject Place(ResponseItem item, JsonObject body)
    {
        body["item_id"] = item.Id;
        body["output_index"] = item.Index;
        if (!item.IsCall) body["content_index"] = 0;
        return body;
    }

    /// <param name="status">Of the response.</param>
    /// <param name="usage">Null while it is made: then it has no output yet.</param>
    private JsonObject Response(string status, AnswerUsage? usage)
    {
        var sampling = context.Request.Spec.Sampling;
        using var sent = JsonDocument.Parse(context.Request.Origin!.Body);
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
            ["output"] = usage is null
                ? new JsonArray()
                : new JsonArray([.. _items.Select(item => (JsonNode)item.ToJson(status, withContent: true))]),
            ["parallel_tool_calls"] = Sent(sent, "parallel_tool_calls") ?? true,
            ["previous_response_id"] = null,
            ["store"] = false,
            ["temperature"] = sampling.Temperature,
            ["text"] = Sent(sent, "text")
                ?? new JsonObject { ["format"] = new JsonObject { ["type"] = "text" } },
            ["tool_choice"] = Sent(sent, "tool_choice") ?? "auto",
            ["tools"] = Sent(sent, "tools") ?? new JsonArray(),
            ["top_p"] = sampling.TopP,
            ["truncation"] = "disabled",
            ["metadata"] = new JsonObject(),
            ["usage"] = usage is { } used ? Usage(used) : null,
        };
    }

    /// <summary>What the client sent, which the response repeats.</summary>
    private static JsonNode? Sent(JsonDocument body, string name) =>
        body.RootElement.TryGetProperty(name, out var value) ? value.ToNode() : null;

    private static JsonObject Usage(AnswerUsage usage) => new()
    {
        ["input_tokens"] = usage.PromptTokens,
        ["input_tokens_details"] = new JsonObject { ["cached_tokens"] = usage.CachedTokens ?? 0 },
        ["output_tokens"] = usage.OutputTokens,
        ["output_tokens_details"] = new JsonObject { ["reasoning_tokens"] = 0 },
        ["total_tokens"] = usage.PromptTokens + usage.OutputTokens,
    };

    private JsonNode Logprob(int token, Wire.TokenLogprobs of) => JsonSerializer.SerializeToNode(
        context.Logprobs.Chat(token, of, context.Request.Logprobs!.Value), GatewayJson.Instance.ChatTokenLogprob)!;
}
