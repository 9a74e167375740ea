namespace Krewe.Silo.Gateway.Answers;

/// <summary>One endpoint's JSON, as UTF-8, for one request.</summary>
internal interface IAnswerFormat
{
    /// <summary>The event before the first text; null when the format has none.</summary>
    byte[]? Opening(AnswerUsage? usage);

    /// <summary>The event of a delta. <paramref name="usage"/> is null when the client did not ask for it.</summary>
    byte[] Chunk(AnswerDelta delta, AnswerUsage? usage);

    /// <summary>The event behind the last delta, without choices.</summary>
    byte[] UsageChunk(AnswerUsage usage);

    /// <summary>The answer in one piece.</summary>
    byte[] Whole(AnswerDelta answer, AnswerUsage usage);
}

/// <summary>What every event of an answer repeats.</summary>
/// <param name="Created">Unix seconds.</param>
/// <param name="PromptTokenIds">Null when the client did not ask for token ids.</param>
internal sealed record AnswerHead(
    string Id, long Created, string Model, string SystemFingerprint, IReadOnlyList<int>? PromptTokenIds);
