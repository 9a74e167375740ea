using Krewe.Abstractions;

namespace Krewe.Silo.Gateway.Answers;

/// <summary>
/// One endpoint's answer to one request, as JSON in UTF-8. The events of a stream are a function of the request and its
/// tokens alone: a stream that is resumed is written anew and skips what the client has.
/// </summary>
internal interface IAnswerFormat
{
    /// <summary>The events before the first delta.</summary>
    IEnumerable<AnswerEvent> Open(AnswerUsage usage);

    /// <summary>The events of one delta. <paramref name="usage"/> is what was used so far.</summary>
    IEnumerable<AnswerEvent> Next(int sequence, AnswerDelta delta, AnswerUsage usage);

    /// <summary>The events behind the last delta, the mark of the end included.</summary>
    IEnumerable<AnswerEvent> Close(AnswerUsage usage);

    /// <summary>The events of an error behind the first delta.</summary>
    IEnumerable<AnswerEvent> Fail(KreweException error);

    /// <summary>What keeps a silent stream alive between these events; null = a comment does.</summary>
    AnswerEvent? Ping => null;

    /// <summary>The answer in one piece.</summary>
    byte[] Whole(IReadOnlyList<WholeChoice> choices, AnswerUsage usage);
}

/// <summary>One server-sent event. <paramref name="Name"/> null = without a name.</summary>
internal readonly record struct AnswerEvent(ReadOnlyMemory<byte> Data, string? Name = null)
{
    /// <summary>The end of OpenAI's older streams.</summary>
    public static AnswerEvent Done { get; } = new("[DONE]"u8.ToArray());
}

/// <summary>What every event of an answer repeats.</summary>
/// <param name="Created">Unix seconds.</param>
internal sealed record AnswerHead(string Id, long Created, string Model, string SystemFingerprint);
