namespace Krewe.Models;

/// <summary>A model's tokens as constraints see them. Immutable; made once for a model.</summary>
public sealed class TokenVocabulary
{
    private readonly Tokenizer _tokenizer;

    /// <param name="tokenizer">Of the model.</param>
    /// <param name="size">Rows of the model's logits; may be more than the tokenizer has tokens.</param>
    /// <param name="endTokens">Tokens that end an answer: they are no text.</param>
    public TokenVocabulary(Tokenizer tokenizer, int size, IReadOnlyList<int> endTokens)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        (_tokenizer, Size, EndTokens) = (tokenizer, size, endTokens);
        Trie = new TokenTrie(tokenizer, endTokens.Contains);
    }

    public int Size { get; }

    public IReadOnlyList<int> EndTokens { get; }

    internal TokenTrie Trie { get; }

    /// <summary>Spaces that decoding takes off the start of an answer.</summary>
    internal int StrippedSpaces => _tokenizer.LeadingSpacesStripped;

    internal ReadOnlySpan<byte> BytesOf(int token) =>
        token < _tokenizer.VocabularySize && !_tokenizer.IsSpecial(token) ? _tokenizer.TokenBytes(token) : [];
}
