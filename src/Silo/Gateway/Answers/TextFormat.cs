using System.Text.Json;
using Krewe.Abstractions;
using Krewe.Silo.Gateway.Json;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Gateway.Answers;

/// <summary>/v1/completions.</summary>
internal sealed class TextFormat(AnswerContext context) : IAnswerFormat
{
    private readonly bool[] _isBegun = new bool[context.Request.Specs.Length];

    // Where the next token of each sequence begins in the text.
    private readonly int[] _offsets = new int[context.Request.Specs.Length];

    private bool ReturnsTokenIds => context.Request.ReturnTokenIds;

    public IEnumerable<AnswerEvent> Open(AnswerUsage usage) => [];

    public IEnumerable<AnswerEvent> Next(int sequence, AnswerDelta delta, AnswerUsage usage)
    {
        IReadOnlyList<int> tokens = delta.Token is { } token ? [token] : [];
        IReadOnlyList<Wire.TokenLogprobs> logprobs = delta.Logprobs is { } of ? [of] : [];
        var choice = Choice(sequence, sequence, delta.Text, tokens, logprobs, delta.End);
        return [ToEvent([choice], context.Continuous(usage))];
    }

    public IEnumerable<AnswerEvent> Close(AnswerUsage usage) => context.Request.IncludeUsage
        ? [ToEvent([], UsageObject.Of(usage)), AnswerEvent.Done]
        : [AnswerEvent.Done];

    public IEnumerable<AnswerEvent> Fail(KreweException error) => [ErrorWriter.ToEvent(error), AnswerEvent.Done];

    public byte[] Whole(IReadOnlyList<WholeChoice> choices, AnswerUsage usage) => ToJson(
        [
            .. choices.Select(choice => Choice(
                choice.Index, choice.Sequence, choice.Text, choice.Tokens, choice.Logprobs, choice.End)),
        ],
        UsageObject.Of(usage));

    private TextChoice Choice(
        int index, int sequence, string text, IReadOnlyList<int> tokens, IReadOnlyList<Wire.TokenLogprobs> logprobs,
        AnswerEnd? end)
    {
        var request = context.Request;
        if (request.HidesOutput) (text, tokens, logprobs) = ("", [], []);
        // What the prompt gives comes once, with the first event.
        var isFirst = !_isBegun[sequence];
        _isBegun[sequence] = true;
        var prompt = request.Specs[sequence].PromptTokens;
        if (isFirst && request.Echo)
            text = context.Tokenizer.Decode(prompt.AsSpan(), request.SkipSpecialTokens) + text;
        return new TextChoice
        {
            Index = index,
            Text = text,
            Logprobs = request.Logprobs is { } alternatives
                ? context.Logprobs.Text(
                    [.. isFirst && request.Echo ? Echoed(sequence) : [], .. Scored(tokens, logprobs)], alternatives,
                    ref _offsets[sequence])
                : null,
            FinishReason = end?.FinishReason,
            StopReason = AnswerContext.StopReasonOf(end),
            TokenIds = ReturnsTokenIds ? tokens : null,
            PromptTokenIds = isFirst && ReturnsTokenIds ? prompt : null,
            PromptLogprobs = isFirst ? context.PromptLogprobsOf(sequence) : null,
        };
    }

    private IEnumerable<(int Token, Wire.TokenLogprobs? Logprobs)> Echoed(int sequence)
    {
        var logprobs = context.PromptLogprobs(sequence);
        return context.Request.Specs[sequence].PromptTokens
            .Select((token, i) => (token, i == 0 ? null : (Wire.TokenLogprobs?)logprobs[i - 1]));
    }

    private static IEnumerable<(int Token, Wire.TokenLogprobs? Logprobs)> Scored(
        IReadOnlyList<int> tokens, IReadOnlyList<Wire.TokenLogprobs> logprobs) =>
        tokens.Select((token, i) => (token, i < logprobs.Count ? logprobs[i] : null));

    private AnswerEvent ToEvent(IReadOnlyList<TextChoice> choices, UsageObject? usage) => new(ToJson(choices, usage));

    private byte[] ToJson(IReadOnlyList<TextChoice> choices, UsageObject? usage)
    {
        var head = context.Head;
        var completion = new TextCompletion
        {
            Id = head.Id,
            Created = head.Created,
            Model = head.Model,
            SystemFingerprint = head.SystemFingerprint,
            Choices = choices,
            Usage = usage,
        };
        return JsonSerializer.SerializeToUtf8Bytes(completion, GatewayJson.Instance.TextCompletion);
    }
}
