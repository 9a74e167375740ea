using System.Text;

namespace Krewe.Models;

/// <summary>
/// Turns tokens into text as they arrive. Bytes of a character that is not complete yet are held back, so that every
/// piece is whole text; all pieces joined equal <see cref="Tokenizer.Decode"/> of all tokens. One stream, one thread.
/// </summary>
public sealed class StreamDecoder
{
    private readonly Tokenizer _tokenizer;
    private readonly bool _skipSpecialTokens;
    private readonly Decoder _utf8 = Encoding.UTF8.GetDecoder();
    private char[] _chars = new char[64];
    private int _spacesToStrip;

    internal StreamDecoder(Tokenizer tokenizer, bool skipSpecialTokens, int spacesToStrip) =>
        (_tokenizer, _skipSpecialTokens, _spacesToStrip) = (tokenizer, skipSpecialTokens, spacesToStrip);

    /// <summary>The text that this token completes; often empty.</summary>
    public string Append(int token) => new(Next(token));

    /// <summary>What is still held back: U+FFFD for a character that never became complete, else nothing.</summary>
    public string Flush() => new(Convert([], flush: true));

    internal void AppendTo(StringBuilder text, int token) => text.Append(Next(token));

    private ReadOnlySpan<char> Next(int token)
    {
        if (_skipSpecialTokens && _tokenizer.IsSpecial(token))
            return [];
        var bytes = _tokenizer.TokenBytes(token);
        while (_spacesToStrip > 0 && bytes.Length > 0)
        {
            // Anything but a space ends the start of the text.
            _spacesToStrip = bytes[0] == ' ' ? _spacesToStrip - 1 : 0;
            bytes = bytes[0] == ' ' ? bytes[1..] : bytes;
        }

        return Convert(bytes, flush: false);
    }

    private ReadOnlySpan<char> Convert(ReadOnlySpan<byte> bytes, bool flush)
    {
        // Held-back bytes (at most 3) can all turn into replacement characters together with these.
        var countMax = Encoding.UTF8.GetMaxCharCount(bytes.Length + 3);
        if (_chars.Length < countMax)
            _chars = new char[countMax];
        return _chars.AsSpan(0, _utf8.GetChars(bytes, _chars, flush));
    }
}
