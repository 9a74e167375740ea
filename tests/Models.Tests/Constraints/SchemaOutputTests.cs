namespace Krewe.Models.Tests.Constraints;

/// <summary>What JSON Schema promises, checked by somebody else's checker over a model that draws at random.</summary>
public sealed class SchemaOutputTests
{
    private const int Outputs = 3;

    [Fact]
    public void Every_output_is_valid_against_its_schema()
    {
        Assert.Equal(100, SchemaCase.All.Count);
        List<string> wrong = [];
        foreach (var schema in SchemaCase.All)
        {
            var constraint = RandomWriter.Compile(ConstraintKind.JsonSchema, schema.Text);
            for (var seed = 0; seed < Outputs; seed++)
            {
                var (text, hasEnded, _) = new RandomWriter(seed).Write(constraint, 2000);
                if (!hasEnded) wrong.Add($"{schema.Name} did not end: {text}");
                else if (schema.Refute(text) is { } complaint) wrong.Add(complaint);
            }
        }

        Assert.Empty(wrong);
    }

    [Fact]
    public void Without_the_constraint_next_to_none_is()
    {
        // The positive control: the checker does refute, and chance does not help.
        var random = new Random(1);
        var right = SchemaCase.All.Count(schema => schema.Refute(RandomTokens(random)) is null);

        Assert.True(right < 3, $"{right} of 100 random texts are valid.");
    }

    [Theory]
    [InlineData(24)]
    [InlineData(60)]
    [InlineData(150)]
    public void An_output_ends_in_time_whatever_the_limit(int tokensMax)
    {
        List<string> wrong = [];
        foreach (var schema in SchemaCase.All)
        {
            var constraint = RandomWriter.Compile(ConstraintKind.JsonSchema, schema.Text);
            var (text, hasEnded, tokens) = new RandomWriter(2).Write(constraint, tokensMax);
            if (hasEnded && schema.Refute(text) is { } complaint) wrong.Add(complaint);
            if (!hasEnded && MinimumOf(schema) < tokensMax) wrong.Add($"{schema.Name} did not end: {text}");
            Assert.True(tokens.Count <= tokensMax);
        }

        Assert.Empty(wrong);
    }

    /// <summary>Bytes of the shortest output.</summary>
    private static int MinimumOf(SchemaCase schema)
    {
        var automaton = ConstraintCompiler.Compile(
            new ConstraintSpec { Kind = ConstraintKind.JsonSchema, Text = schema.Text }, ByteSet.All);
        return automaton.DistanceOf(automaton.Start);
    }

    private static string RandomTokens(Random random) => RandomWriter.Tokenizer.Decode(
        [.. Enumerable.Range(0, 40).Select(_ => random.Next(RandomWriter.Vocabulary.Size))]);
}
