using System.Globalization;
using System.Runtime.CompilerServices;

namespace Krewe.Models;

/// <summary>What the pre-tokenizer patterns tell apart.</summary>
internal enum CharClass : byte
{
    /// <summary>[^\s\p{L}\p{N}]</summary>
    Other,

    /// <summary>\p{L}</summary>
    Letter,

    /// <summary>\p{N}</summary>
    Number,

    /// <summary>\s without the two below.</summary>
    Space,

    /// <summary>[\r\n]</summary>
    Newline,
}

/// <summary>Classes of code points; half a surrogate pair is Other, as it encodes to U+FFFD.</summary>
internal static class CharClasses
{
    private static readonly CharClass[] Basic = BuildBasic();

    /// <summary>Class of the code point at <paramref name="index"/>, and its length in chars.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static CharClass At(ReadOnlySpan<char> text, int index, out int length)
    {
        var c = text[index];
        if (!char.IsSurrogate(c))
        {
            length = 1;
            return Basic[c];
        }

        return AtSurrogate(text, index, out length);
    }

    /// <summary>End of the run of <paramref name="wanted"/> that starts at <paramref name="index"/>.</summary>
    public static int RunEnd(ReadOnlySpan<char> text, int index, CharClass wanted)
    {
        while (index < text.Length && At(text, index, out var length) == wanted)
            index += length;
        return index;
    }

    /// <summary>End of the run of \s that starts at <paramref name="index"/>.</summary>
    public static int SpaceEnd(ReadOnlySpan<char> text, int index)
    {
        while (index < text.Length && Basic[text[index]] >= CharClass.Space)
            index++;
        return index;
    }

    private static CharClass AtSurrogate(ReadOnlySpan<char> text, int index, out int length)
    {
        length = 1;
        if (!char.IsHighSurrogate(text[index]) || index + 1 == text.Length || !char.IsLowSurrogate(text[index + 1]))
            return CharClass.Other;
        length = 2;
        return Classify(CharUnicodeInfo.GetUnicodeCategory(char.ConvertToUtf32(text[index], text[index + 1])));
    }

    private static CharClass[] BuildBasic()
    {
        var classes = new CharClass[0x10000];
        for (var c = 0; c < classes.Length; c++)
        {
            classes[c] = (char)c is '\r' or '\n' ? CharClass.Newline
                : char.IsWhiteSpace((char)c) ? CharClass.Space
                : Classify(CharUnicodeInfo.GetUnicodeCategory((char)c));
        }

        return classes;
    }

    private static CharClass Classify(UnicodeCategory category) => category switch
    {
        UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter
            or UnicodeCategory.ModifierLetter or UnicodeCategory.OtherLetter => CharClass.Letter,
        UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber
            or UnicodeCategory.OtherNumber => CharClass.Number,
        _ => CharClass.Other,
    };
}
