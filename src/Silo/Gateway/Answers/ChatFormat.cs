using System.Text.Json;
using Krewe.Abstractions;
using Krewe.Silo.Gateway.Constraints;
using Krewe.Silo.Gateway.Json;

namespace Krewe.Silo.Gateway.Answers;

/// <summary>/v1/chat/completions.</summary>
internal sealed class ChatFormat(AnswerContext context) : IAnswerFormat
{
    private const string Role = "assistant";

    private readonly AnswerCalls _calls = new(context.Request);

    private AnswerHead Head => context.Head;

    private bool ReturnsTokenIds => context.Request.ReturnTokenIds;

    private IReadOnlyList<int>? PromptTokenIds => ReturnsTokenIds ? context.Request.Spec.PromptTokens : null;

    public IEnumerable<AnswerEvent> Open(AnswerUsage usage)
    {
        for (var index = 0; index < context.Request.Choices; index++)
        {
            yield return ToEvent(
                Chunk(
                    [new ChatChunkChoice { Index = index, Delta = new ChatDelta { Role = Role, Content = "" } }],
                    context.Continuous(usage)) with
                {
                    PromptTokenIds = index == 0 ? PromptTokenIds : null,
                });
        }
    }

    public IEnumerable<AnswerEvent> Next(int sequence, AnswerDelta delta, AnswerUsage usage)
    {
        var grown = _calls.Append(sequence, delta);
        if (grown.IsEmpty && _calls.Hides(delta)) return [];
        var choice = new ChatChunkChoice
        {
            Index = sequence,
            Delta = new ChatDelta
            {
                Content = grown.Text.Length > 0 ? grown.Text : null,
                ReasoningContent = grown.Reasoning,
                ToolCalls = grown.Calls.Count > 0 ? [.. grown.Calls.Select(call => ToCall(sequence, call))] : null,
            },
            Logprobs = context.Request.Logprobs is { } alternatives && delta is { Token: { } token, Logprobs: { } of }
                ? new ChatLogprobs([context.Logprobs.Chat(token, of, alternatives)])
                : null,
            FinishReason = delta.End is { } end ? _calls.FinishReasonOf(sequence, end) : null,
            StopReason = AnswerContext.StopReasonOf(delta.End),
            TokenIds = ReturnsTokenIds && delta.Token is { } id ? [id] : null,
        };
        return [ToEvent(Chunk([choice], context.Continuous(usage)))];
    }

    public IEnumerable<AnswerEvent> Close(AnswerUsage usage) => context.Request.IncludeUsage
        ? [ToEvent(Chunk([], UsageObject.Of(usage))), AnswerEvent.Done]
        : [AnswerEvent.Done];

    public IEnumerable<AnswerEvent> Fail(KreweException error) => [ErrorWriter.ToEvent(error), AnswerEvent.Done];

    public byte[] Whole(IReadOnlyList<WholeChoice> choices, AnswerUsage usage)
    {
        var completion = new ChatCompletion
        {
            Id = Head.Id,
            Created = Head.Created,
            Model = Head.Model,
            SystemFingerprint = Head.SystemFingerprint,
            Choices = [.. choices.Select(Choice)],
            Usage = UsageObject.Of(usage),
            PromptTokenIds = PromptTokenIds,
            PromptLogprobs = context.PromptLogprobsOf(0),
        };
        return JsonSerializer.SerializeToUtf8Bytes(completion, GatewayJson.Instance.ChatCompletion);
    }

    private ChatChoice Choice(WholeChoice choice) => new()
    {
        Index = choice.Index,
        Message = ToMessage(choice),
        Logprobs = context.Request.Logprobs is { } alternatives
            ? new ChatLogprobs(
            [
                .. choice.Tokens.Zip(choice.Logprobs)
                    .Select(pair => context.Logprobs.Chat(pair.First, pair.Second, alternatives)),
            ])
            : null,
        FinishReason = _calls.FinishReasonOf(choice.Sequence, choice.End),
        StopReason = AnswerContext.StopReasonOf(choice.End),
        TokenIds = ReturnsTokenIds ? choice.Tokens : null,
    };

    /// <summary>As OpenAI has it, an answer that only calls has no content; as vLLM, one that only thinks neither.
    /// </summary>
    private ChatAnswer ToMessage(WholeChoice choice)
    {
        var (text, calls, reasoning) = _calls.Read(choice);
        var isAnswer = text.Length > 0 || (calls.Count == 0 && reasoning is null);
        return new ChatAnswer(Role, isAnswer ? text : null, Refusal: null)
        {
            ReasoningContent = reasoning,
            ToolCalls = calls.Count == 0 ? null : [.. calls.Select(call => ToCall(choice.Sequence, call) with
            {
                Index = null,
            })],
        };
    }

    private ChatToolCall ToCall(int sequence, CallDelta call) => new()
    {
        Index = call.Index,
        Id = call.Name is null ? null : _calls.IdOf(sequence, call.Index),
        Type = call.Name is null ? null : "function",
        Function = new ChatFunctionCall(call.Name, call.Arguments),
    };

    private ChatChunk Chunk(IReadOnlyList<ChatChunkChoice> choices, UsageObject? usage) => new()
    {
        Id = Head.Id,
        Created = Head.Created,
        Model = Head.Model,
        SystemFingerprint = Head.SystemFingerprint,
        Choices = choices,
        Usage = usage,
    };

    private static AnswerEvent ToEvent(ChatChunk chunk) =>
        new(JsonSerializer.SerializeToUtf8Bytes(chunk, GatewayJson.Instance.ChatChunk));
}
