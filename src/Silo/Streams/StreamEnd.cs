using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Streams;

/// <summary>How a token stream ended: exactly one of three, and the first one stands.</summary>
internal abstract record StreamEnd
{
    private StreamEnd()
    {
    }

    /// <summary>The owner has the last token.</summary>
    /// <param name="Reason">"stop" or "length".</param>
    /// <param name="ByStopToken">The last token ended the answer and is no part of its text.</param>
    public sealed record Finished(string Reason, bool ByStopToken = false) : StreamEnd;

    /// <summary>No more tokens will come.</summary>
    public sealed record Failed(ErrorCode Code, string Message) : StreamEnd;

    /// <summary>The reader went away or has enough; later tokens are dropped.</summary>
    public sealed record Closed : StreamEnd;
}

/// <summary>What a reader got: the tokens behind its cursor, and the end once every token was read.</summary>
/// <param name="Logprobs">One for each token; empty where the request wants none.</param>
internal readonly record struct StreamRead(int[] Tokens, Wire.TokenLogprobs[] Logprobs, StreamEnd? End);
