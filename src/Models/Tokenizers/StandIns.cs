using System.Globalization;
using System.Text;

namespace Krewe.Models;

/// <summary>A text with every surrogate pair replaced by one char of the same general category.</summary>
internal sealed class StandIns
{
    private static readonly char[] CharOfCategory = BuildCharOfCategory();

    private readonly char[] _text;
    private readonly int[] _originalIndex;
    private readonly int _length;

    public StandIns(ReadOnlySpan<char> text)
    {
        _text = new char[text.Length];
        _originalIndex = new int[text.Length + 1];
        var index = 0;
        foreach (var rune in text.EnumerateRunes())
        {
            // Half a pair enumerates as U+FFFD, one unit long; it is one unit long in the text too.
            _text[_length] = rune.IsBmp ? (char)rune.Value : CharOfCategory[(int)Rune.GetUnicodeCategory(rune)];
            _originalIndex[_length++] = index;
            index += rune.Utf16SequenceLength;
        }

        _originalIndex[_length] = index;
    }

    public ReadOnlySpan<char> Text => _text.AsSpan(0, _length);

    public int OriginalIndex(int index) => _originalIndex[index];

    // The highest char of each category: patterns name low ones (ASCII, CJK ranges) literally.
    private static char[] BuildCharOfCategory()
    {
        var chars = new char[(int)UnicodeCategory.OtherNotAssigned + 1];
        for (var c = 0; c <= char.MaxValue; c++)
            chars[(int)CharUnicodeInfo.GetUnicodeCategory((char)c)] = (char)c;
        return chars;
    }
}
