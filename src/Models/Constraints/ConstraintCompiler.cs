using System.Globalization;
using System.Text.Json;

namespace Krewe.Models;

/// <summary>From what was asked for to the automaton.</summary>
public static class ConstraintCompiler
{
    private const int RegexCharsMax = 8 << 10;
    private const int SchemaCharsMax = 128 << 10;
    private const int ChoicesMax = 1024;
    private const int FunctionsMax = 128;
    private const int SpaceMax = 4;

    /// <summary>Checks that the constraint can be kept by this model.</summary>
    /// <exception cref="ConstraintException">It is not understood, too large, or nothing satisfies it.</exception>
    public static void Check(ConstraintSpec spec, TokenVocabulary vocabulary) => Compile(spec, vocabulary.Trie.Single);

    /// <param name="spec">What is compiled.</param>
    /// <param name="available">Bytes that the model can write one by one.</param>
    internal static ByteAutomaton Compile(ConstraintSpec spec, ByteSet available)
    {
        var budget = new ConstraintBudget();
        var grammar = new Grammar();
        var whole = grammar.Declare("the whole output");
        grammar.Define(whole, Build(spec, grammar, budget));
        return ByteAutomaton.Compile(grammar, available, budget);
    }

    private static Expr Build(ConstraintSpec spec, Grammar grammar, ConstraintBudget budget)
    {
        switch (spec.Kind)
        {
            case ConstraintKind.JsonObject: return JsonText.AnyObject(grammar);
            case ConstraintKind.JsonSchema: return BuildSchema(spec.Text, grammar, budget);
            case ConstraintKind.Regex:
                DemandLength(spec.Text, RegexCharsMax);
                return RegexParser.Parse(spec.Text, isSearch: false, "", budget).ToExpr(inJson: false);
            case ConstraintKind.Choice:
                if (spec.Choices.Length is 0 or > ChoicesMax) throw new ConstraintException(Count(ChoicesMax, "texts"));
                return Expr.Any(spec.Choices.Select(Expr.Text));
            case ConstraintKind.Grammar:
                DemandLength(spec.Text, SchemaCharsMax);
                return GrammarParser.Parse(grammar, spec.Text);
            case ConstraintKind.Tools:
                if (spec.Tools!.Functions.Length is 0 or > FunctionsMax)
                    throw new ConstraintException(Count(FunctionsMax, "functions"));
                var answer = spec.Tools.Answer is { } text ? Build(text, grammar, budget) : null;
                return new ToolGrammar(grammar, spec.Tools, budget).Build(answer);
            case ConstraintKind.Thought:
                var then = Build(spec.Thought!.Then, grammar, budget);
                return BuildThought(spec.Thought, grammar.Add("what follows a thought", then));
            default: throw new ArgumentOutOfRangeException(nameof(spec), spec.Kind, "A kind without a grammar.");
        }
    }

    /// <summary>Models put line breaks behind a thought.</summary>
    private static Expr BuildThought(ThoughtSpec thought, Expr then)
    {
        var space = new Expr.Repeat(new Expr.Chars(CodePointSet.Of('\n').Union(CodePointSet.Of(' '))), 0, SpaceMax);
        var rest = TextBefore.Of(thought.Closing, Expr.Of(space, then), mayEnd: false);
        return thought.IsOpen ? rest : Expr.Any([then, Expr.Of(Expr.Text(thought.Opening), rest)]);
    }

    private static Expr BuildSchema(string text, Grammar grammar, ConstraintBudget budget)
    {
        DemandLength(text, SchemaCharsMax);
        using var schema = JsonDocument.Parse(text);
        return new SchemaCompiler(grammar, schema.RootElement, budget).Compile();
    }

    private static void DemandLength(string text, int charsMax)
    {
        if (text.Length > charsMax)
        {
            throw new ConstraintException(string.Create(
                CultureInfo.InvariantCulture, $"it has {text.Length} characters; at most {charsMax} are taken"));
        }
    }

    private static string Count(int most, string what) =>
        string.Create(CultureInfo.InvariantCulture, $"it must be 1 to {most} {what}");
}
