namespace Krewe.Simulation.Faults;

/// <summary>
/// A stand-in for the model in which a wrong KV block shows: a block's content is a hash chain over its tokens, and the
/// next token is a hash over all contents. So one lost, doubled or stale block changes every token after it.
/// </summary>
internal static class ReferenceStream
{
    private const int Vocabulary = 1000;

    /// <summary>Content of a block after the token at <paramref name="position"/> was written into it.</summary>
    public static ulong Append(ulong content, int position, int blockTokens, int token) =>
        SeededRandom.Mix((position % blockTokens == 0 ? 0 : content) ^ ((ulong)position << 32) ^ (uint)(token + 1));

    /// <summary>The token that follows a context with these contents.</summary>
    public static int Next(ReadOnlySpan<ulong> contents)
    {
        var hash = 0x5EEDUL;
        foreach (var content in contents) hash = SeededRandom.Mix(hash ^ content);
        return (int)(hash % Vocabulary);
    }

    /// <summary>All <paramref name="count"/> tokens that a prompt must be answered with.</summary>
    public static int[] Expected(ReadOnlySpan<int> prompt, int count, int blockTokens)
    {
        var contents = new ulong[(prompt.Length + count + blockTokens - 1) / blockTokens];
        var position = 0;
        void Write(int token)
        {
            ref var content = ref contents[position / blockTokens];
            content = Append(content, position++, blockTokens, token);
        }

        foreach (var token in prompt) Write(token);
        var output = new int[count];
        for (var i = 0; i < count; i++)
        {
            output[i] = Next(contents.AsSpan(0, (position + blockTokens - 1) / blockTokens));
            Write(output[i]);
        }

        return output;
    }
}
