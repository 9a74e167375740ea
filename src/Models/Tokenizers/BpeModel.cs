using System.Buffers;
using System.Text;

namespace Krewe.Models;

/// <summary>
/// Words to tokens. A word starts as one token for each byte (byte-level) or for each character (SentencePiece style,
/// unknown characters as their UTF-8 bytes), then merges apply. Every text can be encoded: the reader has checked that
/// all 256 byte tokens exist.
/// </summary>
internal sealed class BpeModel
{
    private readonly Vocabulary _vocabulary;
    private readonly MergeTable _merges;
    private readonly WordCache _cache = new();
    private readonly int[] _tokenOfByte;
    private readonly bool _byteLevel;
    private readonly bool _ignoreMerges;

    /// <param name="tokenOfByte">256 ids: the byte's character (byte-level) or its &lt;0xXX&gt; token.</param>
    /// <param name="ignoreMerges">A word that is itself a token becomes that token, whatever the merges say.</param>
    public BpeModel(Vocabulary vocabulary, MergeTable merges, int[] tokenOfByte, bool byteLevel, bool ignoreMerges)
    {
        (_vocabulary, _merges, _tokenOfByte) = (vocabulary, merges, tokenOfByte);
        (_byteLevel, _ignoreMerges) = (byteLevel, ignoreMerges);
    }

    public void Encode(ReadOnlySpan<char> word, EncodeScratch scratch)
    {
        if (_cache.TryGet(word, out var known))
        {
            scratch.Output.AddRange(known.AsSpan());
            return;
        }

        var symbols = scratch.Symbols(Encoding.UTF8.GetMaxByteCount(word.Length));
        if (_ignoreMerges && WholeWord(word) is { } token)
        {
            symbols[0] = token;
            symbols = symbols[..1];
        }
        else
        {
            var count = _byteLevel ? ByteSymbols(word, symbols) : CharacterSymbols(word, symbols);
            symbols = symbols[.._merges.Apply(symbols[..count], scratch.Merge)];
        }

        _cache.Put(word, symbols);
        scratch.Output.AddRange((ReadOnlySpan<int>)symbols);
    }

    private int? WholeWord(ReadOnlySpan<char> word)
    {
        if (!_byteLevel)
            return _vocabulary.IdOf(word);
        // No token is longer, and the stack must not grow with the input.
        if (word.Length > 256)
            return null;
        Span<byte> utf8 = stackalloc byte[3 * 256];
        Span<char> spelled = stackalloc char[3 * 256];
        var bytes = Encoding.UTF8.GetBytes(word, utf8);
        for (var i = 0; i < bytes; i++)
            spelled[i] = ByteAlphabet.CharOf(utf8[i]);
        return _vocabulary.IdOf(spelled[..bytes]);
    }

    private int ByteSymbols(ReadOnlySpan<char> word, Span<int> symbols)
    {
        byte[]? rented = null;
        var utf8 = symbols.Length <= 1024
            ? stackalloc byte[1024]
            : rented = ArrayPool<byte>.Shared.Rent(symbols.Length);
        var count = Encoding.UTF8.GetBytes(word, utf8);
        for (var i = 0; i < count; i++)
            symbols[i] = _tokenOfByte[utf8[i]];
        if (rented is not null)
            ArrayPool<byte>.Shared.Return(rented);
        return count;
    }

    private int CharacterSymbols(ReadOnlySpan<char> word, Span<int> symbols)
    {
        var count = 0;
        Span<byte> utf8 = stackalloc byte[4];
        foreach (var rune in word.EnumerateRunes())
        {
            if (_vocabulary.IdOf(rune) is { } id)
            {
                symbols[count++] = id;
                continue;
            }

            foreach (var value in utf8[..rune.EncodeToUtf8(utf8)])
                symbols[count++] = _tokenOfByte[value];
        }

        return count;
    }
}
