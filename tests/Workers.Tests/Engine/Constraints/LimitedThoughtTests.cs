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
    [InlineData(true, 3, "so</think>", "so", "")] // a tag that comes too late is brought to its end
    [InlineData(true, 1, "<so", "", "")]
    [InlineData(true, 3, "so \U0001F600 it is", "so ", "")]
    [InlineData(true, 4, "so \U0001F600 it is", "so \U0001F600", "")] // its first byte is the fourth token
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
        Assert.True(limited.IsFree(ahead: 1000), "the answer is limited too");
        Assert.True(limited.Allowed.IsEmpty);
    }

    [Fact]
    public void Half_characters_without_end_are_cut()
    {
        var half = _model.Tokenizer.Encode("\U0001F600", addSpecialTokens: false)[0];
        var limited = Limit(isOpen: true, most: 2);
        for (var i = 0; i < 5; i++)
        {
            Assert.True(limited.Allowed.IsEmpty, $"after {i}");
            limited.Advance(half);
        }

        Assert.Equal(1, Count(limited.Allowed));
    }

    [Fact]
    public void What_may_be_drawn_ahead_is_free_whatever_comes_before_it()
    {
        var limited = Limit(isOpen: true, most: 5);

        Assert.Equal(
            [true, true, true, true, true, false, false], Enumerable.Range(0, 7).Select(limited.IsFree));
        foreach (var token in Encode("abc")) limited.Advance(token);
        Assert.Equal([true, true, false], Enumerable.Range(0, 3).Select(limited.IsFree));
        foreach (var token in Encode("de")) limited.Advance(token);
        Assert.False(limited.IsFree(0));
    }

    [Fact]
    public void A_call_that_opens_in_a_thought_ends_it()
    {
        var limited = Limit(isOpen: true, most: 24);

        Assert.Equal("let me look: <tool_call> and so on", Write(limited, "let me look: <tool_call> and so on"));
    }

    [Theory]
    [InlineData("{\"name\": \"f\"", "{\"name\": \"f\"")]
    [InlineData("so {\"name\": \"f\"", "so {\"n</think>")]
    public void A_call_without_a_tag_counts_at_the_start_alone(string wished, string expected)
    {
        var limited = Create(LimitOf(isOpen: true, most: 6) with { Call = null, CallAtStart = "{\"name\": \"" });

        Assert.Equal(expected, Write(limited, wished));
    }

    [Fact]
    public void A_form_behind_the_thought_holds_as_ever()
    {
        const string Thoughts = "a tho\U0001F600ught that goes on and on";
        foreach (var most in (int[])[0, 6, 400])
        {
            var form = new ConstraintSpec
            {
                Kind = ConstraintKind.Thought,
                Thought = new ThoughtSpec(
                    Opening, Closing, IsOpen: true,
                    new ConstraintSpec { Kind = ConstraintKind.Regex, Text = "[0-9]{4}" }),
            };
            var constraint = Create(LimitOf(isOpen: true, most), form);

            var written = Write(constraint, most == 400 ? Thoughts + Closing : Thoughts);

            Assert.Equal(most switch { 400 => Thoughts, 0 => "", _ => "a tho\U0001F600" } + Closing, written);
            Assert.False(constraint.IsFree(0));
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
            Assert.Equal(whole.IsFree(2), again.IsFree(2));
            whole.Advance(token);
            tokens.Add(token);
        }
    }

    [Fact]
    public void A_thought_that_another_worker_let_go_on_has_no_limit_any_more()
    {
        var limited = Limit(isOpen: true, most: 2);

        foreach (var token in Encode("thoughts")) limited.Advance(token);

        Assert.True(limited.Allowed.IsEmpty);
    }

    [Theory]
    [InlineData("{")]
    [InlineData("null")]
    [InlineData("{\"Opening\":\"\",\"Closing\":\"x\"}")]
    public void A_limit_that_is_none_is_refused(string text)
    {
        var error = Assert.Throws<KreweException>(() => Factory().Limit(text, form: null));

        Assert.Equal(ErrorCode.InvalidRequest, error.Code);
    }

    /// <summary>
    /// What comes of a model that wishes to write this, a character a time, and writes what it must where it may not.
    /// </summary>
    private string Write(ITokenConstraint constraint, string wished)
    {
        var written = new List<byte>();
        foreach (var wish in Encode(wished))
        {
            while (true)
            {
                var allowed = constraint.Allowed;
                var may = allowed.IsEmpty || (allowed[wish / 64] >> (wish % 64) & 1) != 0;
                var token = may ? wish : Single(allowed);
                constraint.Advance(token);
                written.AddRange(_model.Tokenizer.TokenBytes(token));
                if (may) break;
                var text = Encoding.UTF8.GetString([.. written]);
                if (text.EndsWith(Closing, StringComparison.Ordinal)) return text;
            }
        }

        return Encoding.UTF8.GetString([.. written]);
    }

    private int[] Encode(string text) =>
        [.. text.EnumerateRunes().SelectMany(c => _model.Tokenizer.Encode(c.ToString(), addSpecialTokens: false))];

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

    private ITokenConstraint Limit(bool isOpen, int most) => Create(LimitOf(isOpen, most));

    private static ThoughtLimit LimitOf(bool isOpen, int most) => new(Opening, Closing, isOpen, most) { Call = Call };

    private ITokenConstraint Create(ThoughtLimit limit, ConstraintSpec? form = null) => Factory().Limit(
        limit.Write(),
        form is null ? null : Factory().Create(form.Write(), [.. _model.StopTokenIds], outputMax: 1000));

    private ConstraintFactory Factory() => new(_model.Tokenizer, _model.Config.VocabularySize, _model.StopTokenIds);
}
