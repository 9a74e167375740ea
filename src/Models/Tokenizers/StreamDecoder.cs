namespace Krewe.Models;

/// <summary>Tokens to text, one at a time.</summary>
public sealed class StreamDecoder
{
    private readonly Tokenizer _tokenizer;
    private readonly bool _skipSpecialTokens;

    internal StreamDecoder(Tokenizer tokenizer, bool skipSpecialTokens) =>
        (_tokenizer, _skipSpecialTokens) = (tokenizer, skipSpecialTokens);

    public string Append(int token) => _tokenizer.Decode([token], _skipSpecialTokens);

    public string Flush() => _tokenizer.Decode([], _skipSpecialTokens);
}
