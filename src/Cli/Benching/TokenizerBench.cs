using System.Text;
using Krewe.Models;

namespace Krewe.Cli;

/// <summary>What <c>krewe bench tokenizer</c> prints with --json; megabytes are 10^6 bytes of UTF-8.</summary>
internal sealed record TokenizerReport
{
    public required long Bytes { get; init; }

    public required int Tokens { get; init; }

    public required int Repeats { get; init; }

    public required double EncodeMegabytesPerSecond { get; init; }

    /// <summary>The first call, which finds no word in the tokenizer's cache.</summary>
    public required double FirstEncodeMegabytesPerSecond { get; init; }

    public required double DecodeMegabytesPerSecond { get; init; }

    /// <summary>Texts without a place to cut.</summary>
    public required IReadOnlyList<WordFigures> Words { get; init; }
}

/// <summary>One word, as bad as a caller can make it.</summary>
/// <param name="Kind">What it is made of.</param>
/// <param name="Characters">How long it is.</param>
/// <param name="MegabytesPerSecond">Encoding it.</param>
/// <param name="TimeOfTwice">Time of a word twice as long, in times of this one: 2 for linear, 4 for quadratic.</param>
internal sealed record WordFigures(string Kind, int Characters, double MegabytesPerSecond, double TimeOfTwice);

/// <summary>Times a tokenizer on one thread.</summary>
internal static class TokenizerBench
{
    private const int WordCharacters = 1 << 18;

    private static readonly (string Kind, Func<int, string> Build)[] BadWords =
    [
        ("the same letter", length => new string('a', length)),
        ("letters at random", length => Scattered(length, 'a', 26)),
        ("blanks", length => new string(' ', length)),
        ("CJK at random", length => Scattered(length, '一', 5000)),
    ];

    public static TokenizerReport Run(Tokenizer tokenizer, string text, int repeats, TimeProvider time)
    {
        var bytes = (double)Encoding.UTF8.GetByteCount(text);
        int[] tokens = [];
        var first = Seconds(1, time, () => tokens = tokenizer.Encode(text, addSpecialTokens: false));
        var encode = Math.Min(
            first, Seconds(repeats, time, () => tokens = tokenizer.Encode(text, addSpecialTokens: false)));
        var decode = Seconds(repeats, time, () => tokenizer.Decode(tokens));
        return new TokenizerReport
        {
            Bytes = (long)bytes,
            Tokens = tokens.Length,
            Repeats = repeats,
            EncodeMegabytesPerSecond = bytes / encode / 1e6,
            FirstEncodeMegabytesPerSecond = bytes / first / 1e6,
            DecodeMegabytesPerSecond = bytes / decode / 1e6,
            Words = [.. BadWords.Select(word => Measure(tokenizer, word.Kind, word.Build, repeats, time))],
        };
    }

    private static WordFigures Measure(
        Tokenizer tokenizer, string kind, Func<int, string> build, int repeats, TimeProvider time)
    {
        var (word, twice) = (build(WordCharacters), build(2 * WordCharacters));
        tokenizer.Encode(twice, addSpecialTokens: false);
        var seconds = Seconds(repeats, time, () => tokenizer.Encode(word, addSpecialTokens: false));
        var longer = Seconds(repeats, time, () => tokenizer.Encode(twice, addSpecialTokens: false));
        return new WordFigures(
            kind, WordCharacters, Encoding.UTF8.GetByteCount(word) / seconds / 1e6, longer / seconds);
    }

    private static double Seconds(int repeats, TimeProvider time, Action run)
    {
        var best = double.PositiveInfinity;
        for (var round = 0; round < repeats; round++)
        {
            var begun = time.GetTimestamp();
            run();
            best = Math.Min(best, time.GetElapsedTime(begun).TotalSeconds);
        }

        return best;
    }

    /// <summary>Characters of a range in no order that repeats soon (a multiplicative walk).</summary>
    private static string Scattered(int length, char first, int count)
    {
        var word = new StringBuilder(length);
        for (uint i = 0; i < length; i++)
            word.Append((char)(first + (int)((i * 2654435761u >> 8) % (uint)count)));
        return word.ToString();
    }
}
