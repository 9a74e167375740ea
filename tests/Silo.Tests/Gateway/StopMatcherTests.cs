using System.Collections.Immutable;
using System.Text;
using Krewe.Silo.Gateway.Answers;

namespace Krewe.Silo.Tests.Gateway;

public sealed class StopMatcherTests
{
    private delegate (string Text, string? Stop) Matcher(string piece);

    [Theory]
    [InlineData("one STOP two", new[] { "STOP" }, "one ")]
    [InlineData("one two", new[] { "STOP" }, "one two")]
    [InlineData("one STO", new[] { "STOP" }, "one STO")]
    [InlineData("aaab", new[] { "aab" }, "a")]
    [InlineData("abcabd!", new[] { "abd" }, "abc")]
    [InlineData("xabcy", new[] { "bc", "abc" }, "x")]
    [InlineData("xabcdy", new[] { "abcd", "bc" }, "xa")]
    [InlineData("STOP", new[] { "STOP" }, "")]
    [InlineData("ä🙂ö", new[] { "🙂" }, "ä")]
    [InlineData("\n\nUser:", new[] { "\nUser:", "\n\nUs" }, "")]
    public void Wherever_the_text_is_cut_the_same_part_is_shown(string text, string[] stops, string shown)
    {
        foreach (var cuts in CutsOf(text.Length))
            Assert.Equal(shown, Run(new StopMatcher([.. stops]), text, cuts));
    }

    [Fact]
    public void Random_texts_are_cut_as_a_reader_of_single_characters_would()
    {
        const int Seed = 20251;
        var random = new Random(Seed);
        string Word(int max) => string.Concat(
            Enumerable.Range(0, random.Next(1, max)).Select(_ => (char)('a' + random.Next(3))));
        for (var i = 0; i < 2000; i++)
        {
            ImmutableArray<string> stops = [.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => Word(6))];
            var text = Word(40);
            var cuts = Enumerable.Range(1, text.Length).Where(_ => random.Next(3) == 0).ToArray();
            Assert.Equal(Expected(text, stops), Run(new StopMatcher(stops), text, cuts));
        }
    }

    [Fact]
    public void A_matcher_that_forgets_what_it_held_is_caught()
    {
        // The positive control: it looks at each piece alone.
        Matcher forgetful = piece => new StopMatcher(["STOP"]).Append(piece);

        var (shown, stop) = forgetful("ST");
        var (rest, laterStop) = forgetful("OP");

        Assert.Null(stop ?? laterStop);
        Assert.NotEqual("", shown + rest);
    }

    private static string Run(StopMatcher matcher, string text, int[] cuts)
    {
        var shown = new StringBuilder();
        var at = 0;
        foreach (var cut in cuts.Append(text.Length))
        {
            var (visible, stop) = matcher.Append(text[at..cut]);
            shown.Append(visible);
            if (stop is not null) return shown.ToString();
            at = cut;
        }

        return shown.Append(matcher.Flush()).ToString();
    }

    private static string Expected(string text, ImmutableArray<string> stops)
    {
        for (var end = 1; end <= text.Length; end++)
        {
            var hit = stops
                .Where(stop => text[..end].EndsWith(stop, StringComparison.Ordinal))
                .MaxBy(stop => stop.Length);
            if (hit is not null) return text[..(end - hit.Length)];
        }

        return text;
    }

    /// <summary>Whole, one cut at each place, and single characters.</summary>
    private static IEnumerable<int[]> CutsOf(int length)
    {
        yield return [];
        for (var cut = 1; cut < length; cut++) yield return [cut];
        yield return [.. Enumerable.Range(1, Math.Max(0, length - 1))];
    }
}
