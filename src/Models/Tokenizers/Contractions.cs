namespace Krewe.Models;

/// <summary>The two pattern parts that the hand-written splitters share.</summary>
internal static class Contractions
{
    /// <summary>Length of <c>'s|'t|'re|'ve|'m|'ll|'d</c> at the start of a text that begins with an apostrophe, else 0.
    /// </summary>
    public static int Length(ReadOnlySpan<char> text, bool ignoreCase)
    {
        if (text.Length < 2)
            return 0;
        var first = ignoreCase ? AsciiLower(text[1]) : text[1];
        if (first is 's' or 't' or 'm' or 'd')
            return 2;
        if (text.Length < 3)
            return 0;
        var second = ignoreCase ? AsciiLower(text[2]) : text[2];
        return (first, second) is ('r', 'e') or ('v', 'e') or ('l', 'l') ? 3 : 0;
    }

    /// <summary>
    /// <c>\s+(?!\S)|\s+</c>: all the whitespace at the end of the text; before a word all but its last character, which
    /// the word's own alternative may take.
    /// </summary>
    public static int WhitespaceEnd(ReadOnlySpan<char> text, int start)
    {
        var end = CharClasses.SpaceEnd(text, start);
        return end == text.Length || end - start == 1 ? end : end - 1;
    }

    private static char AsciiLower(char c) => char.IsAsciiLetterUpper(c) ? (char)(c | 0x20) : c;
}
