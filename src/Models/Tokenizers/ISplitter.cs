namespace Krewe.Models;

/// <summary>A stretch of a text, in chars.</summary>
internal readonly record struct Piece(int Start, int Length);

/// <summary>One stage of pre-tokenization. Stateless, so one instance serves all threads.</summary>
internal interface ISplitter
{
    /// <summary>Appends the pieces of <paramref name="text"/> in order; every start is raised by
    /// <paramref name="offset"/>. Nothing outside the text may influence the result.</summary>
    void Split(ReadOnlySpan<char> text, int offset, List<Piece> pieces);
}
