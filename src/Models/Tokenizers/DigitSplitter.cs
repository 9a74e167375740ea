namespace Krewe.Models;

/// <summary>Numbers apart from everything else: each character on its own, or whole runs.</summary>
internal sealed class DigitSplitter(bool individual) : ISplitter
{
    /// <summary>The Split pattern that, isolated, means the same as individual digits.</summary>
    public const string Pattern = @"\p{N}";

    public void Split(ReadOnlySpan<char> text, int offset, List<Piece> pieces)
    {
        var start = 0;
        for (var i = 0; i < text.Length;)
        {
            if (CharClasses.At(text, i, out var length) != CharClass.Number)
            {
                i += length;
                continue;
            }

            if (i > start)
                pieces.Add(new Piece(offset + start, i - start));
            start = individual ? i + length : CharClasses.RunEnd(text, i, CharClass.Number);
            pieces.Add(new Piece(offset + i, start - i));
            i = start;
        }

        if (text.Length > start)
            pieces.Add(new Piece(offset + start, text.Length - start));
    }
}
