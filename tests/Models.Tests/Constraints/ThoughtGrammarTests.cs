using System.Text;
using System.Text.Json;

namespace Krewe.Models.Tests.Constraints;

/// <summary>A model that thinks before what has a form.</summary>
public sealed class ThoughtGrammarTests
{
    private static readonly ConstraintSpec Number =
        new() { Kind = ConstraintKind.JsonSchema, Text = """{"type":"integer","minimum":10,"maximum":99}""" };

    [Theory]
    [InlineData(false, "17", true)]
    [InlineData(false, "<think>\nIs {\"a\": <tool_call> </thin é 5? </think>\n\n17", true)]
    [InlineData(false, "<think></think>17", true)]
    [InlineData(false, "<think> a </think> b </think> 17", false)] // the first tag ends it
    [InlineData(false, "<think> 17", false)]
    [InlineData(false, "a</think>17", false)]
    [InlineData(false, "<think>a</think>seven", false)]
    [InlineData(true, "a\n</think>\n\n17", true)]
    [InlineData(true, "</</think>17", true)]
    [InlineData(true, "17", false)]
    [InlineData(true, "a</think>", false)]
    public void The_form_begins_behind_the_thought(bool isOpen, string text, bool isTaken)
    {
        var running = new LazyAutomaton(ConstraintCompiler.Compile(Before(Number, isOpen), ByteSet.All), 0);

        Assert.Equal(isTaken, Encoding.UTF8.GetBytes(text).Aggregate(running.Start, running.Step).Accepts);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Whatever_a_model_thinks_it_comes_to_the_form_before_its_limit(bool isOpen)
    {
        var constraint = CompiledConstraint.Compile(Before(Number, isOpen), RandomWriter.Vocabulary);
        var thoughts = 0;
        for (var seed = 0; seed < 50; seed++)
        {
            var (text, hasEnded, _) = new RandomWriter(seed).Write(constraint, 60);
            Assert.True(hasEnded, text);
            var at = text.IndexOf("</think>", StringComparison.Ordinal);
            if (at >= 0) thoughts++;
            using var number = JsonDocument.Parse(at < 0 ? text : text[(at + "</think>".Length)..]);
            Assert.InRange(number.RootElement.GetInt32(), 10, 99);
        }

        Assert.InRange(thoughts, isOpen ? 50 : 1, 50);
    }

    [Fact]
    public void It_travels_as_text()
    {
        var spec = Before(Number, isOpen: true);

        Assert.Equal(spec.Write(), ConstraintSpec.Parse(spec.Write()).Write());
        Assert.NotEqual(spec.Write(), Before(Number, isOpen: false).Write());
    }

    private static ConstraintSpec Before(ConstraintSpec then, bool isOpen) => new()
    {
        Kind = ConstraintKind.Thought,
        Thought = new ThoughtSpec("<think>", "</think>", isOpen, then),
    };
}
