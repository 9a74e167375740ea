using System.Text;

namespace Krewe.Models.Tests.Constraints;

/// <summary>A model that likes every token alike.</summary>
internal sealed class RandomWriter(int seed)
{
    public static Tokenizer Tokenizer { get; } = Tokenizer.Load(TestFiles.TinyModel);

    /// <summary>The bundled model's tokens; its end token ends an answer.</summary>
    public static TokenVocabulary Vocabulary { get; } = new(Tokenizer, Tokenizer.VocabularySize, [1020]);

    private readonly Random _random = new(seed);

    public static CompiledConstraint Compile(ConstraintKind kind, string text) =>
        CompiledConstraint.Compile(new ConstraintSpec { Kind = kind, Text = text }, Vocabulary);

    /// <summary>Writes until the end token, or until there is no more room; the text, and whether it ended.</summary>
    public (string Text, bool HasEnded, List<int> Tokens) Write(CompiledConstraint constraint, int tokensMax)
    {
        var match = new ConstraintMatch(constraint, [], tokensMax);
        List<int> tokens = [];
        while (tokens.Count < tokensMax)
        {
            var token = Draw(match.Allowed());
            tokens.Add(token);
            Assert.True(match.TryAdvance(token));
            if (token == 1020) return (TextOf(tokens), true, tokens);
        }

        return (TextOf(tokens), match.MayEnd, tokens);
    }

    /// <summary>One of the tokens whose bit is set.</summary>
    public int Draw(ReadOnlySpan<ulong> allowed)
    {
        List<int> choices = [];
        for (var token = 0; token < Vocabulary.Size; token++)
        {
            if ((allowed[token / 64] >> (token % 64) & 1) != 0) choices.Add(token);
        }

        Assert.NotEmpty(choices);
        return choices[_random.Next(choices.Count)];
    }

    public static string TextOf(IEnumerable<int> tokens)
    {
        List<byte> bytes = [];
        foreach (var token in tokens)
        {
            if (!Tokenizer.IsSpecial(token)) bytes.AddRange(Tokenizer.TokenBytes(token));
        }

        // Throws on bytes that are no text.
        return new UTF8Encoding(false, throwOnInvalidBytes: true).GetString([.. bytes]);
    }
}
