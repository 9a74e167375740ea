namespace Krewe.Silo.Streams;

/// <summary>How a token stream ended: exactly one of three, and the first one stands.</summary>
internal abstract record StreamEnd
{
    private StreamEnd()
    {
    }

    /// <summary>The owner has the last token. <paramref name="Reason"/> is "stop" or "length".</summary>
    public sealed record Finished(string Reason) : StreamEnd;

    /// <summary>No more tokens will come.</summary>
    public sealed record Failed(ErrorCode Code, string Message) : StreamEnd;

    /// <summary>The reader went away or has enough; later tokens are dropped.</summary>
    public sealed record Closed : StreamEnd;
}

/// <summary>What a reader got: the tokens behind its cursor, and the end once every token was read.</summary>
internal readonly record struct StreamRead(int[] Tokens, StreamEnd? End);
