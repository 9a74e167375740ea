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
/// response. Thoughts are one item of the output, the text another, each call of a function one more.
/// </summary>
internal sealed class ResponsesFormat(AnswerContext context) : IAnswerFormat
{
    private readonly AnswerCalls _calls = new(context.Request);
    private readonly List<ResponseItem> _items = [];

    // Of tokens that may turn out to be thoughts.
    private readonly JsonArray _undecided = [];
    private AnswerEnd? _end;
    private ResponseItem? _open;
    private int _sequenceNumber;

    private AnswerHead Head => context.Head;

    public IEnumerable<AnswerEvent> Open(AnswerUsage usage)
    {
        yield return Event("response.created", new JsonObject { ["response"] = Response("in_progress", null) });
        yield return Event("response.in_progress", new JsonObject { ["response"] = Response("in_progress", null) });
        // With functions and thoughts it shows later whether there is a text at all.
        if (context.Request is not { Tools: null, Reasoning: null }) yield break;
        foreach (var begun in BeginText(ResponseItemKind.Message)) yield return begun;
    }

    public IEnumerable<AnswerEvent> Next(int sequence, AnswerDelta delta, AnswerUsage usage)
    {
        _end = delta.End;
        var grown = _calls.Append(sequence, delta);
        if (grown.Reasoning is { } thoughts)
        {
            foreach (var begun in BeginText(ResponseItemKind.Reasoning)) yield return begun;
            _open!.Text.Append(thoughts);
            yield return Event("response.reasoning_text.delta", Place(_open, new JsonObject { ["delta"] = thoughts }));
        }

        var logprobs = LogprobsOf(sequence, delta, grown);
        if (grown.Text.Length > 0 || logprobs.Count > 0)
        {
            foreach (var begun in BeginText(ResponseItemKind.Message)) yield return begun;
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
            foreach (var begun in BeginText(ResponseItemKind.Message)) yield return begun;
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
        var end = new JsonObject { ["response"] = failed };
        // A client that has heard nothing but keep-alives expects the begin first.
        return _sequenceNumber > 0
            ? [Event("response.failed", end)]
            :
            [
                Event("response.created", new JsonObject { ["response"] = Response("in_progress", null) }),
                Event("response.failed", end),
            ];
    }

    public byte[] Whole(IReadOnlyList<WholeChoice> choices, AnswerUsage usage)
    {
        var choice = choices[0];
        var (text, calls, thoughts) = _calls.Read(choice);
        _end = choice.End;
        if (thoughts is not null) AddText(ResponseItemKind.Reasoning).Text.Append(thoughts);
        var scored = context.Request.Logprobs is not null && calls.Count == 0
            ? choice.Tokens.Zip(choice.Logprobs).Skip(choice.ReasoningTokens).ToList()
            : [];
        if (text.Length > 0 || scored.Count > 0 || (calls.Count == 0 && thoughts is null))
        {
            var message = AddText(ResponseItemKind.Message);
            message.Text.Append(text);
            foreach (var (token, of) in scored) message.Logprobs.Add(Logprob(token, of));
        }

        foreach (var call in calls) AddCall(choice.Sequence, call).Text.Append(call.Arguments);
        foreach (var item in _items) item.Status = item == _items[^1] ? StatusOf(choice.End) : "completed";
        return Response(StatusOf(choice.End), usage).ToBytes();
    }

    private static string StatusOf(AnswerEnd end) => end.FinishReason == "length" ? "incomplete" : "completed";

    private ResponseItem Add(ResponseItem item)
    {
        _items.Add(item);
        return item;
    }

    private ResponseItem AddText(ResponseItemKind kind) => Add(new ResponseItem(
        kind, _items.Count, (kind == ResponseItemKind.Message ? "msg_" : "rs_") + context.Request.Spec.RequestId));

    private ResponseItem AddCall(int sequence, CallDelta call) => Add(new ResponseItem(
        ResponseItemKind.Call, _items.Count, _calls.IdOf(sequence, call.Index, "fc_"),
        _calls.IdOf(sequence, call.Index), call.Name));

    /// <summary>Of the message's tokens that the delta tells.</summary>
    private JsonArray LogprobsOf(int sequence, AnswerDelta delta, ToolDelta grown)
    {
        if (grown.Calls.Count > 0 || _open is { IsCall: true } || context.Request.Logprobs is null) return [];
        if (delta.Tokens <= delta.ReasoningTokens) _undecided.Clear();
        else if (delta is { Token: { } token, Logprobs: { } of }) _undecided.Add(Logprob(token, of));
        if (_calls.IsUndecided(sequence)) return [];
        var decided = (JsonArray)_undecided.DeepClone();
        _undecided.Clear();
        return decided;
    }

    /// <summary>Nothing when it is open.</summary>
    private IEnumerable<AnswerEvent> BeginText(ResponseItemKind kind)
    {
        if (_open?.Kind == kind) yield break;
        foreach (var ended in EndItem("completed")) yield return ended;
        _open = AddText(kind);
        yield return Event("response.output_item.added", new JsonObject
        {
            ["output_index"] = _open.Index,
            ["item"] = _open.ToJson(withContent: false),
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
            ["item"] = _open.ToJson(withContent: false),
        });
    }

    /// <summary>Nothing when none is open.</summary>
    private IEnumerable<AnswerEvent> EndItem(string status)
    {
        if (_open is not { } item) yield break;
        _open = null;
        item.Status = status;
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
            var text = new JsonObject { ["text"] = item.Text.ToString() };
            if (item.Kind == ResponseItemKind.Message) text["logprobs"] = item.Logprobs.DeepClone();
            yield return Event($"response.{item.TextName}.done", Place(item, text));
            yield return Event("response.content_part.done", Place(item, new JsonObject { ["part"] = item.ToPart() }));
        }

        yield return Event("response.output_item.done", new JsonObject
        {
            ["output_index"] = item.Index,
            ["item"] = item.ToJson(),
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
                : new JsonArray([.. _items.Select(item => (JsonNode)item.ToJson())]),
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
        ["output_tokens_details"] = new JsonObject { ["reasoning_tokens"] = usage.ReasoningTokens ?? 0 },
        ["total_tokens"] = usage.PromptTokens + usage.OutputTokens,
    };

    private JsonNode Logprob(int token, Wire.TokenLogprobs of) => JsonSerializer.SerializeToNode(
        context.Logprobs.Chat(token, of, context.Request.Logprobs!.Value), GatewayJson.Instance.ChatTokenLogprob)!;
}
