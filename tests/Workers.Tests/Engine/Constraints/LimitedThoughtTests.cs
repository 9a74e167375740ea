using System.Numerics;
using System.Text;
using Krewe.Abstractions;
using Krewe.Models;
using Krewe.Workers.Tests.Runner;

namespace Krewe.Workers.Tests;

/// <summary>A thought has so many tokens and no more; what comes behind it is not touched.</summary>
public sealed class LimitedThoughtTests : IDisposable
{
    private const string Opening = "<think>", Closing = "</think>", Call = "<tool_call>";

    private readonly ModelFolder _model = TinyModel.Open();

    public void Dispose() => _model.Dispose();

    [Theory]
    [InlineData(true, 0, "so it is", "", "")]
    [InlineData(true, 4, "so it is two", "so i", "")]
    [InlineData(true, 400, "so it is two</think> It is 2.", "so it is two", " It is 2.")]
    [InlineData(true, 12, "so it is two</think> It is 2.", "so it is two", "")]
    [InlineData(true, 3, "</think>", "</t", "")] // a tag that comes too late
    [InlineData(false, 4, "<think>so it is two", "<think>so i", "")]
    [InlineData(false, 0, "<think>so it is two", "<think>", "")]
    [InlineData(false, 4, " \n<think>so it is two", " \n<think>so i", "")]
    [InlineData(false, 2, "It is 2, <think> or not", null, "It is 2, <think> or not")] // not at the start: none
    [InlineData(false, 2, "<thin air>", null, "<thin air>")]
    public void Behind_its_last_token_only_the_closing_tag_follows(
        bool isOpen, int most, string wished, string? thought, string answer)
    {
        var limited = Limit(isOpen, most);

        var written = Write(limited, wished);

        Assert.Equal(thought is null ? answer : thought + Closing + answer, written);
        Assert.Equal(thought is not null || !Opening.StartsWith(written.TrimStart(), StringComparison.Ordinal),
            limited.IsOver);
        Assert.True(limited.Allowed.IsEmpty, "the answer is limited too");
    }

    [Fact]
    public void A_call_that_opens_in_a_thought_ends_it()
    {
        var limited = Limit(isOpen: true, most: 24);

        Assert.Equal("let me look: <tool_call> and so on", Write(limited, "let me look: <tool_call> and so on"));
    }

    [Fact]
    public void A_form_behind_the_thought_holds_as_ever()
    {
        const string Thoughts = "a thought that goes on and on";
        foreach (var most in (int[])[0, 5, 400])
        {
            var form = new ConstraintSpec
            {
                Kind = ConstraintKind.Thought,
                Thought = new ThoughtSpec(
                    Opening, Closing, IsOpen: true,
                    new ConstraintSpec { Kind = ConstraintKind.Regex, Text = "[0-9]{4}" }),
            };
            var constraint = Create(form with { ThoughtLimit = LimitOf(isOpen: true, most) });

            // As far as it is let, it thinks; then it is told to write letters where only digits may stand.
            var written = Write(constraint, most == 400 ? Thoughts + Closing : Thoughts);

            Assert.Equal(most == 400 ? Thoughts + Closing : Thoughts[..most] + Closing, written);
            Assert.False(constraint.IsOver);
            Assert.All(Texts(constraint.Allowed), text => Assert.Matches("^[0-9 \n]+$", text));
        }
    }

    [Fact]
    public void Wherever_a_stream_is_taken_up_the_limit_is_where_it_was()
    {
        var tokens = new List<int>();
        var whole = Limit(isOpen: true, most: 6);
        foreach (var next in Encode("think and think"))
        {
            var token = whole.Allowed.IsEmpty ? next : Single(whole.Allowed);
            var again = Limit(isOpen: true, most: 6);
            foreach (var known in tokens) again.Advance(known);
            Assert.True(whole.Allowed.SequenceEqual(again.Allowed), $"after {tokens.Count} tokens");
            Assert.Equal(whole.IsOver, again.IsOver);
            whole.Advance(token);
            tokens.Add(token);
        }
    }

    [Fact]
    public void A_token_that_goes_on_with_a_spent_thought_is_refused()
    {
        var limited = Limit(isOpen: true, most: 0);

        var error = Assert.Throws<KreweException>(() => limited.Advance(Encode("x")[0]));

        Assert.Equal(ErrorCode.InvalidRequest, error.Code);
    }

    /// <summary>
    /// What comes of a model that wishes to write this, a character a token, and writes what it must where it may not.
    /// </summary>
    private string Write(ITokenConstraint constraint, string wished)
    {
        var written = new StringBuilder();
        var at = 0;
        while (at < wished.Length)
        {
            var wish = Encode(wished[at..(at + 1)])[0];
            var allowed = constraint.Allowed;
            var may = allowed.IsEmpty || (allowed[wish / 64] >> (wish % 64) & 1) != 0;
            if (!may && constraint is LimitedThought && Count(allowed) > 1) break; // the form's to say
            var token = may ? wish : Single(allowed);
            constraint.Advance(token);
            written.Append(Encoding.UTF8.GetString(_model.Tokenizer.TokenBytes(token)));
            if (may) at++;
            else if (written.ToString().EndsWith(Closing, StringComparison.Ordinal)) break;
        }

        return written.ToString();
    }

    private int[] Encode(string text) =>
        [.. text.Select(c => _model.Tokenizer.Encode(c.ToString(), addSpecialTokens: false)[^1])];

    private IEnumerable<string> Texts(ReadOnlySpan<ulong> bits)
    {
        var texts = new List<string>();
        for (var token = 0; token < bits.Length * 64; token++)
        {
            if ((bits[token / 64] >> (token % 64) & 1) != 0)
                texts.Add(Encoding.UTF8.GetString(_model.Tokenizer.TokenBytes(token)));
        }

        return texts;
    }

    private static int Count(ReadOnlySpan<ulong> bits)
    {
        var count = 0;
        foreach (var word in bits) count += BitOperations.PopCount(word);
        return count;
    }

    private static int Single(ReadOnlySpan<ulong> bits)
    {
        Assert.Equal(1, Count(bits));
        var word = bits.IndexOfAnyExcept(0UL);
        return (word * 64) + BitOperations.TrailingZeroCount(bits[word]);
    }

    private ITokenConstraint Limit(bool isOpen, int most) => Create(
        new ConstraintSpec { Kind = ConstraintKind.Anything, ThoughtLimit = LimitOf(isOpen, most) });

    private static ThoughtLimit LimitOf(bool isOpen, int most) => new(Opening, Closing, isOpen, most) { Call = Call };

    private ITokenConstraint Create(ConstraintSpec spec) => new ConstraintFactory(
        _model.Tokenizer, _model.Config.VocabularySize, _model.StopTokenIds).Create(
        spec.Write(), [.. _model.StopTokenIds], outputMax: 1000);
}
