namespace Krewe.Models.Tests.Constraints;

/// <summary>Masks token by token: what they are a function of, and where an output may end.</summary>
public sealed class MatchTests
{
    private const int EndToken = 1020;

    [Fact]
    public void An_output_goes_on_with_the_same_masks_wherever_it_is_continued()
    {
        foreach (var schema in SchemaCase.All)
        {
            var constraint = RandomWriter.Compile(ConstraintKind.JsonSchema, schema.Text);
            var (_, _, tokens) = new RandomWriter(4).Write(constraint, 100);
            var whole = new ConstraintMatch(constraint, [], 100);
            foreach (var token in tokens.SkipLast(1)) Assert.True(whole.TryAdvance(token));

            // Another worker: nothing of the first one's is known.
            var elsewhere = RandomWriter.Compile(ConstraintKind.JsonSchema, schema.Text);
            var continued = new ConstraintMatch(elsewhere, [], 100);
            foreach (var token in tokens.SkipLast(1)) Assert.True(continued.TryAdvance(token));

            Assert.Equal(whole.Allowed().ToArray(), continued.Allowed().ToArray());
        }
    }

    [Fact]
    public void A_run_that_has_grown_large_is_left_and_the_masks_stay()
    {
        // Each mask meets thousands of new configurations: the stack remembers every letter.
        var letters = string.Join(" | ", "abcdefghijklmnopqrstuvwxyz".Select(c => $"\"{c}\" root \"{c}\""));
        var grammar = $"root ::= {letters} | \"-\"";
        var old = RandomWriter.Compile(ConstraintKind.Grammar, grammar);
        var fresh = RandomWriter.Compile(ConstraintKind.Grammar, grammar);
        var writer = new RandomWriter(9);
        var first = old.Current();
        for (var i = 0; i < 100 && old.Current() == first; i++) writer.Write(old, 100);
        Assert.NotSame(first, old.Current());

        var (a, b) = (new ConstraintMatch(old, [], 200), new ConstraintMatch(fresh, [], 200));
        for (var i = 0; i < 200; i++)
        {
            Assert.Equal(b.Allowed().ToArray(), a.Allowed().ToArray());
            var token = writer.Draw(a.Allowed());
            Assert.True(a.TryAdvance(token) && b.TryAdvance(token));
            if (token == EndToken) break;
        }

        Assert.True(a.MayEnd);
    }

    [Fact]
    public void Only_a_whole_output_may_end()
    {
        var constraint = RandomWriter.Compile(ConstraintKind.Regex, "ab?");
        var match = new ConstraintMatch(constraint, [], 10);

        Assert.False(Has(match, EndToken));
        Assert.True(match.TryAdvance(Id("a")));
        Assert.True(Has(match, EndToken) && Has(match, Id("b")) && !Has(match, Id("a")));
        Assert.True(match.TryAdvance(EndToken));
        Assert.False(match.TryAdvance(EndToken));
    }

    [Fact]
    public void A_token_that_does_not_follow_is_told()
    {
        var match = new ConstraintMatch(RandomWriter.Compile(ConstraintKind.Regex, "ab"), [], 10);

        Assert.False(match.TryAdvance(Id("b")));
        Assert.False(new ConstraintMatch(RandomWriter.Compile(ConstraintKind.Regex, "ab"), [], 9).TryAdvance(EndToken));
    }

    [Fact]
    public void Stop_tokens_of_the_request_count_only_where_the_output_may_end()
    {
        var match = new ConstraintMatch(RandomWriter.Compile(ConstraintKind.Regex, "ab"), [1021], 10);

        Assert.False(Has(match, 1021));
        Assert.True(match.TryAdvance(Id("a")) && match.TryAdvance(Id("b")));
        Assert.True(Has(match, 1021) && Has(match, EndToken));
    }

    [Fact]
    public void A_constraint_travels_as_text()
    {
        var spec = new ConstraintSpec
        {
            Kind = ConstraintKind.Tools,
            ContinuesText = true,
            Tools = new ToolSpec(
                [new ToolFunction("f", """{"type":"object"}"""), new ToolFunction("g", null)], ToolStyle.Bare, true,
                false, new ConstraintSpec { Kind = ConstraintKind.Choice, Choices = ["ä", "\"b\""] }),
        };

        Assert.Equal(spec.Write(), ConstraintSpec.Parse(spec.Write()).Write());
        Assert.Throws<FormatException>(() => ConstraintSpec.Parse("{}"));
        Assert.Throws<FormatException>(() => ConstraintSpec.Parse("{\"kind\":\"Other\"}"));
        Assert.Throws<FormatException>(() => ConstraintSpec.Parse("not json"));
    }

    private static int Id(string text) => RandomWriter.Tokenizer.Encode(text, addSpecialTokens: false).Single();

    private static bool Has(ConstraintMatch match, int token) => (match.Allowed()[token / 64] >> (token % 64) & 1) != 0;
}
