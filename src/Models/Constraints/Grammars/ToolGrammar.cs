using System.Text.Json;

namespace Krewe.Models;

/// <summary>Calls of functions as a grammar, alone or in the midst of other text.</summary>
internal sealed class ToolGrammar(Grammar grammar, ToolSpec tools, ConstraintBudget budget)
{
    private readonly ToolCallText _text = ToolCallText.Of(tools.Style);

    /// <param name="answer">What may be written instead; null = any text.</param>
    public Expr Build(Expr? answer)
    {
        var call = grammar.Add("a call", Expr.Any(tools.Functions.Select(Call)));
        var more = tools.MayCallSeveral
            ? new Expr.Repeat(Expr.Of(Expr.Text(_text.Separator + _text.Opening), call), 0, null)
            : Expr.Nothing;
        var calls = Expr.Of(call, more);
        if (!tools.MayAnswer) return Expr.Of(Expr.Text(_text.Opening), calls);
        if (answer is not null) return Expr.Any([answer, Expr.Of(Expr.Text(_text.Opening), calls)]);
        return _text.OnlyAtStart ? InsteadOfText(calls) : BehindText(calls);
    }

    /// <summary>Behind the opening: name, arguments and closing.</summary>
    private Expr Call(ToolFunction function, int index) => Expr.Of(
        Expr.Text(_text.BeforeName + function.Name + _text.BeforeArguments), Arguments(function, index),
        Expr.Text(_text.Closing));

    private Expr Arguments(ToolFunction function, int index)
    {
        if (function.Schema is null) return JsonText.AnyObject(grammar);
        using var schema = JsonDocument.Parse(function.Schema);
        try
        {
            var values = new SchemaCompiler(grammar, schema.RootElement, budget, $"arguments {index}").CompileObject();
            return grammar.Add(function.Name, values);
        }
        catch (ConstraintException e)
        {
            throw new ConstraintException(e.Message, $"[{index}].function.parameters{e.Path}");
        }
    }

    /// <summary>Text that begins otherwise, or calls.</summary>
    private Expr InsteadOfText(Expr calls)
    {
        var first = CodePointSet.Of(_text.Opening[0]);
        var text = Expr.Of(
            new Expr.Chars(first.Complement()), new Expr.Repeat(new Expr.Chars(CodePointSet.All), 0, null));
        return Expr.Any([Expr.Optional(text), Expr.Of(Expr.Text(_text.Opening), calls)]);
    }

    /// <summary>
    /// Any text; where it comes to the opening, calls follow and nothing else. Node i of the graph has seen the
    /// opening's first i characters (Knuth, Morris and Pratt).
    /// </summary>
    private Expr.Graph BehindText(Expr calls)
    {
        var opening = _text.Opening;
        var (called, end) = (opening.Length, opening.Length + 1);
        List<Expr.Step> steps = [new(called, end, calls)];
        for (var seen = 0; seen < opening.Length; seen++)
        {
            steps.Add(new Expr.Step(seen, end, null));
            var others = CodePointSet.All;
            foreach (var character in opening.Distinct())
            {
                var next = SeenAfter(opening, seen, character);
                others = others.Except(CodePointSet.Of(character));
                steps.Add(new Expr.Step(seen, next, new Expr.Chars(CodePointSet.Of(character))));
            }

            steps.Add(new Expr.Step(seen, 0, new Expr.Chars(others)));
        }

        return new Expr.Graph(end + 1, [.. steps]);
    }

    private static int SeenAfter(string opening, int seen, char next)
    {
        var text = opening[..seen] + next;
        var length = text.Length;
        while (!opening.StartsWith(text[^length..], StringComparison.Ordinal)) length--;
        return length;
    }
}
