using System.Text;
using System.Text.RegularExpressions;

namespace Krewe.Models.Tests.Constraints;

/// <summary>Regular expressions mean what .NET's engine says they mean, text by text.</summary>
public sealed class RegexTests
{
    private const string Alphabet = "ab01_- .xé中😀\n\"\\";

    [Theory]
    [InlineData("a*b+")]
    [InlineData("(a|b)*0{2,3}")]
    [InlineData("[^a]b?")]
    [InlineData("[a-b0_]{1,4}")]
    [InlineData("(?:ab|a|b01)+x?")]
    [InlineData(".{2}")]
    [InlineData(@"\w+\s\d")]
    [InlineData(@"\W\S\D")]
    [InlineData("^a.*b$")]
    [InlineData("(^a|b$)")]
    [InlineData("é|中{2}|😀")]
    [InlineData(@"[é-中]+\x61?")]
    [InlineData(@"\x61\u0062")]
    [InlineData("a{0}b")]
    [InlineData("a{,2}")]
    [InlineData("(a?){3}b{2,}?")]
    [InlineData("")]
    [InlineData("(?<name>a)|(?P<other>b)")]
    [InlineData(@"[\]\\\-x]+")]
    public void An_automaton_takes_what_the_expression_matches(string pattern)
    {
        var theirs = new Regex(
            $"^(?:{pattern.Replace("(?P<", "(?<", StringComparison.Ordinal)})\\z", RegexOptions.CultureInvariant);
        var random = new Random(5);
        var mine = Run(ConstraintKind.Regex, pattern);
        var matched = 0;
        for (var i = 0; i < 3000; i++)
        {
            var text = RandomText(random, random.Next(7));
            // .NET's engine counts UTF-16 units, and knows more digits and letters than ECMAScript.
            if (text.Any(char.IsSurrogate) && !pattern.Contains("😀", StringComparison.Ordinal)) continue;
            if (pattern.Contains(@"\w", StringComparison.OrdinalIgnoreCase) && text.Any(c => c > 127)) continue;
            matched += theirs.IsMatch(text) ? 1 : 0;
            Assert.True(theirs.IsMatch(text) == mine(text), $"{pattern} on \"{text}\"");
        }

        Assert.True(matched > 0 || pattern == "a{,2}", "No text matched: the test says nothing.");
    }

    [Theory]
    [InlineData("(a", "without its ')'")]
    [InlineData("a)", "without its '('")]
    [InlineData("[a", "without its ']'")]
    [InlineData("*a", "nothing to repeat")]
    [InlineData("a{3,2}", "below its begin")]
    [InlineData("(?=a)", "look-around")]
    [InlineData(@"(a)\1", "back reference")]
    [InlineData(@"\bword", "escape \\b")]
    [InlineData("a^b", "not at an end")]
    [InlineData(@"\p{Greek}", "general categories")]
    [InlineData("[b-a]", "end is before its begin")]
    [InlineData("a++", "possessive")]
    [InlineData(@"\u12", "hexadecimal")]
    [InlineData(@"\", "ends in")]
    public void What_is_not_regular_or_not_valid_is_refused(string pattern, string why)
    {
        var error = Assert.Throws<ConstraintException>(() => RandomWriter.Compile(ConstraintKind.Regex, pattern));
        Assert.Contains(why, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("(((a{100}){100}){100}){100}")]
    [InlineData("((((){1000}){1000}){1000}){1000}")]
    [InlineData("(a|b)*a(a|b){30}")]
    [InlineData("(a?){5000}a{5000}")]
    [InlineData("(x+x+)+y(x+x+)+(z{9999}){3}")]
    [InlineData("(.*){50}(.*a){60}b{3000}")]
    public void A_bomb_is_refused_for_its_size(string pattern)
    {
        var error = Assert.Throws<ConstraintException>(() => RandomWriter.Compile(ConstraintKind.Regex, pattern));
        Assert.Matches("states|ambiguous", error.Message);
    }

    [Fact]
    public void What_only_looks_like_a_bomb_is_taken()
    {
        // Engines that backtrack need 2^30 steps for these; an automaton needs one a character.
        var matches = Run(ConstraintKind.Regex, "(a+)+(a*)*b");

        Assert.True(matches(new string('a', 5000) + "b"));
        Assert.False(matches(new string('a', 5000) + "c"));
    }

    /// <summary>Whether the whole text satisfies the constraint.</summary>
    internal static Func<string, bool> Run(ConstraintKind kind, string constraint)
    {
        var spec = new ConstraintSpec { Kind = kind, Text = constraint };
        var running = new LazyAutomaton(ConstraintCompiler.Compile(spec, ByteSet.All), 0);
        return text => Encoding.UTF8.GetBytes(text).Aggregate(running.Start, running.Step).Accepts;
    }

    private static string RandomText(Random random, int length)
    {
        var runes = Alphabet.EnumerateRunes().ToArray();
        return string.Concat(Enumerable.Range(0, length).Select(_ => runes[random.Next(runes.Length)].ToString()));
    }
}
