using System.Text.Json;
using Krewe.Silo.Gateway.Json;

namespace Krewe.Silo.Gateway.Answers;

/// <summary>/v1/chat/completions.</summary>
internal sealed class ChatFormat(AnswerHead head) : IAnswerFormat
{
    private const string Role = "assistant";

    private bool ReturnsTokenIds => head.PromptTokenIds is not null;

    public byte[] Opening(AnswerUsage? usage) => ToJson(
        Chunk([new ChatChunkChoice { Delta = new ChatDelta { Role = Role, Content = "" } }], usage) with
        {
            PromptTokenIds = head.PromptTokenIds,
        });

    public byte[] Chunk(AnswerDelta delta, AnswerUsage? usage) => ToJson(Chunk(
        [
            new ChatChunkChoice
            {
                Delta = new ChatDelta { Content = delta.Text.Length > 0 ? delta.Text : null },
                FinishReason = delta.FinishReason,
                TokenIds = ReturnsTokenIds ? delta.TokenIds : null,
            },
        ], usage));

    public byte[] UsageChunk(AnswerUsage usage) => ToJson(Chunk([], usage));

    public byte[] Whole(AnswerDelta answer, AnswerUsage usage)
    {
        var completion = new ChatCompletion
        {
            Id = head.Id,
            Created = head.Created,
            Model = head.Model,
            SystemFingerprint = head.SystemFingerprint,
            Choices =
            [
                new ChatChoice
                {
                    Message = new ChatAnswer(Role, answer.Text, Refusal: null),
                    FinishReason = answer.FinishReason!,
                    TokenIds = ReturnsTokenIds ? answer.TokenIds : null,
                },
            ],
            Usage = UsageObject.Of(usage),
            PromptTokenIds = head.PromptTokenIds,
        };
        return JsonSerializer.SerializeToUtf8Bytes(completion, GatewayJson.Instance.ChatCompletion);
    }

    private ChatChunk Chunk(IReadOnlyList<ChatChunkChoice> choices, AnswerUsage? usage) => new()
    {
        Id = head.Id,
        Created = head.Created,
        Model = head.Model,
        SystemFingerprint = head.SystemFingerprint,
        Choices = choices,
        Usage = usage is { } known ? UsageObject.Of(known) : null,
    };

    private static byte[] ToJson(ChatChunk chunk) =>
        JsonSerializer.SerializeToUtf8Bytes(chunk, GatewayJson.Instance.ChatChunk);
}
