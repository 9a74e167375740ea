namespace Krewe.Models;

/// <summary>
/// Cuts SentencePiece text in front of each run of space markers, so that its words can be cached. Only used where no
/// merge has a right part that starts with the marker after a left part that does not end with it: then no merge can
/// cross a cut, and the tokens are those of the uncut text.
/// </summary>
internal sealed class SpaceRunSplitter(char marker) : ISplitter
{
    public void Split(ReadOnlySpan<char> text, int offset, List<Piece> pieces)
    {
        var start = 0;
        for (var i = 1; i < text.Length; i++)
        {
            if (text[i] != marker || text[i - 1] == marker)
                continue;
            pieces.Add(new Piece(offset + start, i - start));
            start = i;
        }

        if (text.Length > start)
            pieces.Add(new Piece(offset + start, text.Length - start));
    }
}
