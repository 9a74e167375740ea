using System.Text;

namespace Krewe.Cli;

/// <summary>
/// A text like written ones, the same on every machine: 50,000 invented words, the r-th as often as 1 / r (Zipf), with
/// punctuation, numbers, paragraphs, and here and there a word beyond ASCII.
/// </summary>
internal static class BenchText
{
    private const int Words = 50_000;
    private const ulong Seed = 20_261_128;

    private static readonly string[] Letters =
        [.. "etaoinshrdlucmfwypvbgkjqxz".Select(letter => letter.ToString()), "é", "ß", "и", "語"];

    public static string OfBytes(int bytes)
    {
        var random = Seed;
        var words = new string[Words];
        for (var i = 0; i < Words; i++)
            words[i] = Word(ref random);
        var text = new StringBuilder(bytes);
        for (var written = 0; written < bytes;)
        {
            var word = words[Rank(ref random)];
            var piece = Below(ref random, 100) switch
            {
                < 4 => $"{word}. {char.ToUpperInvariant(word[0])}{word[1..]}",
                < 10 => $"{word}, ",
                < 12 => $"{Below(ref random, 10_000)} ",
                12 => $"{word}.\n\n",
                13 => $"({word}) ",
                _ => $"{word} ",
            };
            text.Append(piece);
            written += Encoding.UTF8.GetByteCount(piece);
        }

        return text.ToString();
    }

    private static string Word(ref ulong random)
    {
        var word = new StringBuilder();
        for (var length = 2 + Below(ref random, 4) + Below(ref random, 6); length > 0; length--)
        {
            // Two draws, the smaller: letters in front of the list are the frequent ones.
            var letter = Math.Min(Below(ref random, 26), Below(ref random, 26));
            word.Append(Letters[Below(ref random, 200) == 0 ? 26 + Below(ref random, 4) : letter]);
        }

        return word.ToString();
    }

    /// <summary>Ranks with probability proportional to 1 / rank: words^u for u in [0, 1).</summary>
    private static int Rank(ref ulong random) =>
        (int)Math.Pow(Words, Below(ref random, 1 << 20) / (double)(1 << 20)) - 1;

    /// <summary>SplitMix64 (Steele, Lea, Flood 2014).</summary>
    private static int Below(ref ulong state, int limit)
    {
        state += 0x9E3779B97F4A7C15;
        var z = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return (int)((z ^ (z >> 31)) % (ulong)limit);
    }
}
