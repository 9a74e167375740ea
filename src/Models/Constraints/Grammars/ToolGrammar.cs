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
        return _text.OnlyAtStart ? InsteadOfText(calls) : TextBefore.Of(_text.Opening, calls, mayEnd: true);
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
}
