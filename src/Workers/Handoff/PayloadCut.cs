namespace Krewe.Workers;

/// <summary>How a payload is cut over the connections of a link: equal parts of whole pages, the last one smaller.
/// </summary>
internal static class PayloadCut
{
    private const int PageBytes = 4096;

    /// <param name="parts">The payload's memory.</param>
    /// <param name="total">Its bytes.</param>
    /// <returns>[ways] of memory; one that gets nothing is empty.</returns>
    public static List<Memory<byte>>[] Of(List<Memory<byte>> parts, int total, int ways)
    {
        var pages = ((long)total + (PageBytes * (long)ways) - 1) / (PageBytes * (long)ways);
        var cuts = new List<Memory<byte>>[ways];
        var at = new PartCursor(parts).Past(0);
        for (var way = 0; way < ways; way++)
        {
            cuts[way] = [];
            for (var left = pages * PageBytes; left > 0 && !at.IsAtEnd;)
            {
                var piece = at.Current[..(int)Math.Min(left, at.Current.Length)];
                cuts[way].Add(piece);
                left -= piece.Length;
                at = at.Past(piece.Length);
            }
        }

        return cuts;
    }
}
