using System.Text;

namespace Krewe.Models;

/// <summary>
/// Splits ranges of characters into sequences of byte ranges: the UTF-8 texts of the range are exactly those whose i-th
/// byte is in the i-th range of one sequence.
/// </summary>
internal static class Utf8Ranges
{
    /// <summary>Last characters of one, two, three and four bytes.</summary>
    private static readonly int[] LastOfLength = [0x7F, 0x7FF, 0xFFFF, 0x10FFFF];

    public static IEnumerable<(byte First, byte Last)[]> Split(CodePointSet set)
    {
        List<(byte, byte)[]> sequences = [];
        foreach (var (first, last) in set.Ranges) SplitByLength(first, last, sequences);
        return sequences;
    }

    private static void SplitByLength(int first, int last, List<(byte, byte)[]> sequences)
    {
        foreach (var end in LastOfLength)
        {
            if (first > end) continue;
            SplitByPrefix(first, Math.Min(last, end), sequences);
            first = end + 1;
            if (first > last) return;
        }
    }

    /// <summary>
    /// Both ends have the same number of bytes. Cut until every byte but the leading ones of a piece runs over all of
    /// its values.
    /// </summary>
    private static void SplitByPrefix(int first, int last, List<(byte, byte)[]> sequences)
    {
        const int ContinuationBits = 6;
        for (var tail = 1; tail <= 3 && last > 0x7F; tail++)
        {
            var mask = (1 << (ContinuationBits * tail)) - 1;
            if ((first & ~mask) == (last & ~mask)) break;
            if ((first & mask) != 0)
            {
                SplitByPrefix(first, first | mask, sequences);
                SplitByPrefix((first | mask) + 1, last, sequences);
                return;
            }

            if ((last & mask) == mask) continue;
            SplitByPrefix(first, (last & ~mask) - 1, sequences);
            SplitByPrefix(last & ~mask, last, sequences);
            return;
        }

        Span<byte> low = stackalloc byte[4];
        Span<byte> high = stackalloc byte[4];
        var length = new Rune(first).EncodeToUtf8(low);
        new Rune(last).EncodeToUtf8(high);
        var sequence = new (byte, byte)[length];
        for (var i = 0; i < length; i++) sequence[i] = (low[i], high[i]);
        sequences.Add(sequence);
    }
}
