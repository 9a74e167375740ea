using System.Text;

namespace Krewe.Models.Tests;

/// <summary>Texts that mix ordinary words with every corner of Unicode.</summary>
internal static class RandomText
{
    private static readonly string[] Parts =
    [
        "the", "Hello", "it's", "WE'LL", "'d", "''", "123", "4", "007", " ", "  ", "   ", "\t", "\n", "\r\n", "\n\n",
        "!?", "...",
        "é", "ß", "你好", "的", "かな", "한국", "привет", "٣٤", "Ⅷ", "½", "😀",
        "👩‍👩‍👧", "𝐀𝐁", "𐐨", "𝟙𝟚", "𒐀", "e\u0301",
        "\u0301", "\u00a0", "\u2003",
        "\u3000", "\u2028", "_", "-", "$", "<|end|>", "<s>", "\u0000", "\uFFFD", "▁", "Ġ", "ſ", "K", "İ",
    ];

    public static string Any(Random random, int partsMax)
    {
        var text = new StringBuilder();
        for (var parts = random.Next(partsMax); parts >= 0; parts--)
            text.Append(random.Next(5) == 0 ? AnyRune(random).ToString() : Parts[random.Next(Parts.Length)]);
        return text.ToString();
    }

    private static Rune AnyRune(Random random)
    {
        while (true)
        {
            var plane = random.Next(3) == 0 ? 0x110000 : 0x3000;
            if (Rune.TryCreate(random.Next(plane), out var rune))
                return rune;
        }
    }
}
