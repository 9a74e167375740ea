namespace Krewe.Models;

/// <summary>
/// The patterns of Llama 3 (numbers in groups of up to three) and Qwen 2 (each digit alone) by hand; equal to
/// <see cref="LlamaPattern"/> and <see cref="QwenPattern"/> on code points.
/// </summary>
internal sealed class LlamaSplitter(int digitsMax) : ISplitter
{
    public const string LlamaPattern =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
        + @"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    public const string QwenPattern =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
        + @"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    public void Split(ReadOnlySpan<char> text, int offset, List<Piece> pieces)
    {
        for (var start = 0; start < text.Length;)
        {
            var end = End(text, start);
            pieces.Add(new Piece(offset + start, end - start));
            start = end;
        }
    }

    private int End(ReadOnlySpan<char> text, int start)
    {
        if (text[start] == '\'' && Contractions.Length(text[start..], ignoreCase: true) is var length and > 0)
            return start + length;
        var kind = CharClasses.At(text, start, out var firstLength);
        var next = start + firstLength;
        switch (kind)
        {
            case CharClass.Letter:
                return CharClasses.RunEnd(text, next, CharClass.Letter);
            case CharClass.Number:
                return NumberEnd(text, start);
            case CharClass.Newline:
                return SpaceOrNewlineEnd(text, start);
        }

        // [^\r\n\p{L}\p{N}]?\p{L}+ : one space or other character may lead a word.
        var follower = next < text.Length ? CharClasses.At(text, next, out _) : CharClass.Newline;
        if (next < text.Length && follower == CharClass.Letter)
            return CharClasses.RunEnd(text, next, CharClass.Letter);
        if (kind == CharClass.Other)
            return OthersEnd(text, start);
        return text[start] == ' ' && next < text.Length && follower == CharClass.Other
            ? OthersEnd(text, next)
            : SpaceOrNewlineEnd(text, start);
    }

    private int NumberEnd(ReadOnlySpan<char> text, int start)
    {
        var end = start;
        for (var digits = 0; digits < digitsMax && end < text.Length; digits++)
        {
            if (CharClasses.At(text, end, out var length) != CharClass.Number)
                break;
            end += length;
        }

        return end;
    }

    private static int OthersEnd(ReadOnlySpan<char> text, int start) =>
        CharClasses.RunEnd(text, CharClasses.RunEnd(text, start, CharClass.Other), CharClass.Newline);

    /// <summary><c>\s*[\r\n]+|\s+(?!\S)|\s+</c>: up to and with the last line break of the run, where it has one.
    /// </summary>
    private static int SpaceOrNewlineEnd(ReadOnlySpan<char> text, int start)
    {
        var end = CharClasses.SpaceEnd(text, start);
        var lastBreak = text[start..end].LastIndexOfAny('\r', '\n');
        return lastBreak >= 0 ? start + lastBreak + 1 : Contractions.WhitespaceEnd(text, start);
    }
}
