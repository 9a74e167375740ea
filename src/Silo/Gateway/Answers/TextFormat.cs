using System.Text.Json;
using Krewe.Silo.Gateway.Json;

namespace Krewe.Silo.Gateway.Answers;

/// <summary>/v1/completions.</summary>
internal sealed class TextFormat(AnswerHead head) : IAnswerFormat
{
    private bool _isFirst = true;

    private bool ReturnsTokenIds => head.PromptTokenIds is not null;

    public byte[]? Opening(AnswerUsage? usage) => null;

    public byte[] Chunk(AnswerDelta delta, AnswerUsage? usage) => ToJson([Choice(delta)], usage);

    public byte[] UsageChunk(AnswerUsage usage) => ToJson([], usage);

    public byte[] Whole(AnswerDelta answer, AnswerUsage usage) => ToJson([Choice(answer)], usage);

    private TextChoice Choice(AnswerDelta delta)
    {
        // The prompt's ids come once, with the first event.
        var prompt = _isFirst ? head.PromptTokenIds : null;
        _isFirst = false;
        return new TextChoice
        {
            Text = delta.Text,
            FinishReason = delta.FinishReason,
            TokenIds = ReturnsTokenIds ? delta.TokenIds : null,
            PromptTokenIds = prompt,
        };
    }

    private byte[] ToJson(IReadOnlyList<TextChoice> choices, AnswerUsage? usage)
    {
        var completion = new TextCompletion
        {
            Id = head.Id,
            Created = head.Created,
            Model = head.Model,
            SystemFingerprint = head.SystemFingerprint,
            Choices = choices,
            Usage = usage is { } known ? UsageObject.Of(known) : null,
        };
        return JsonSerializer.SerializeToUtf8Bytes(completion, GatewayJson.Instance.TextCompletion);
    }
}
