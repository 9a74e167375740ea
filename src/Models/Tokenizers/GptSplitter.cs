namespace Krewe.Models;

/// <summary>GPT-2's pattern by hand; equal to <see cref="Pattern"/> on code points.</summary>
internal sealed class GptSplitter : ISplitter
{
    public const string Pattern =
        @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    public void Split(ReadOnlySpan<char> text, int offset, List<Piece> pieces)
    {
        for (var start = 0; start < text.Length;)
        {
            var end = End(text, start);
            pieces.Add(new Piece(offset + start, end - start));
            start = end;
        }
    }

    private static int End(ReadOnlySpan<char> text, int start)
    {
        var first = text[start];
        if (first == '\'' && Contractions.Length(text[start..], ignoreCase: false) is var length and > 0)
            return start + length;
        var body = first == ' ' && start + 1 < text.Length ? start + 1 : start;
        var kind = CharClasses.At(text, body, out _);
        return kind >= CharClass.Space
            ? Contractions.WhitespaceEnd(text, start)
            : CharClasses.RunEnd(text, body, kind);
    }
}
