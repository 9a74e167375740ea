namespace Krewe.Models;

/// <summary>What a statement asks of the loop around it.</summary>
internal enum TemplateFlow
{
    /// <summary>Go on with the next statement.</summary>
    Next,

    /// <summary>End the loop.</summary>
    Break,

    /// <summary>Go on with the loop's next item.</summary>
    Continue,
}

/// <summary>A piece of a template that writes or assigns.</summary>
internal abstract class TemplateStatement(int line)
{
    public static TemplateFlow RunAll(List<TemplateStatement> body, TemplateContext context)
    {
        foreach (var statement in body)
        {
            context.Step();
            context.Line = statement.Line;
            if (statement.Run(context) is var flow and not TemplateFlow.Next)
                return flow;
        }

        return TemplateFlow.Next;
    }

    protected int Line => line;

    protected abstract TemplateFlow Run(TemplateContext context);
}

internal sealed class TextStatement(int line, string text) : TemplateStatement(line)
{
    protected override TemplateFlow Run(TemplateContext context)
    {
        context.Write(text);
        return TemplateFlow.Next;
    }
}

internal sealed class OutputStatement(int line, TemplateExpression value) : TemplateStatement(line)
{
    protected override TemplateFlow Run(TemplateContext context)
    {
        context.Write(TemplateText.Of(context, value.Evaluate(context)));
        return TemplateFlow.Next;
    }
}

internal sealed class IfStatement(
    int line, List<(TemplateExpression Condition, List<TemplateStatement> Body)> branches,
    List<TemplateStatement> otherwise)
    : TemplateStatement(line)
{
    protected override TemplateFlow Run(TemplateContext context)
    {
        foreach (var (condition, body) in branches)
        {
            if (TemplateValues.IsTrue(condition.Evaluate(context)))
                return RunAll(body, context);
        }

        return RunAll(otherwise, context);
    }
}

/// <summary>The place that <c>set</c> or <c>for</c> assigns to: a name, several names, or a namespace's attribute.
/// </summary>
internal sealed record TemplateTarget(List<string> Names, string? Attribute)
{
    public void Assign(TemplateContext context, object? value)
    {
        if (Attribute is not null)
        {
            if (context.Lookup(Names[0]) is not TemplateNamespace space)
                throw context.Error($"only a namespace's attributes can be set; \"{Names[0]}\" is none");
            space.Values[Attribute] = value;
        }
        else if (Names.Count == 1)
        {
            context.Assign(Names[0], value);
        }
        else
        {
            var parts = TemplateFilters.Items(value, context).ToList();
            if (parts.Count != Names.Count)
                throw context.Error($"{parts.Count} values cannot be assigned to {Names.Count} names");
            for (var i = 0; i < parts.Count; i++)
                context.Assign(Names[i], parts[i]);
        }
    }
}

internal sealed class SetStatement(int line, TemplateTarget target, TemplateExpression value) : TemplateStatement(line)
{
    protected override TemplateFlow Run(TemplateContext context)
    {
        target.Assign(context, value.Evaluate(context));
        return TemplateFlow.Next;
    }
}

/// <summary><c>{% set x %}...{% endset %}</c>; <paramref name="filtered"/> reads the text under
/// <see cref="BlockName"/>.</summary>
internal sealed class BlockSetStatement(
    int line, TemplateTarget target, List<TemplateStatement> body, TemplateExpression filtered)
    : TemplateStatement(line)
{
    /// <summary>A name that no template can spell.</summary>
    public const string BlockName = "(block)";

    protected override TemplateFlow Run(TemplateContext context)
    {
        context.Push();
        context.Assign(BlockName, context.Capture(() => RunAll(body, context)));
        var value = filtered.Evaluate(context);
        context.Pop();
        target.Assign(context, value);
        return TemplateFlow.Next;
    }
}

internal sealed class FlowStatement(int line, TemplateFlow flow) : TemplateStatement(line)
{
    protected override TemplateFlow Run(TemplateContext context) => flow;
}

internal sealed class MacroStatement(
    int line, string name, List<(string Name, TemplateExpression? Default)> parameters, List<TemplateStatement> body)
    : TemplateStatement(line)
{
    protected override TemplateFlow Run(TemplateContext context)
    {
        context.Assign(name, (TemplateFunction)Call);
        return TemplateFlow.Next;
    }

    private string Call(TemplateArguments arguments)
    {
        arguments.DemandAtMost(parameters.Count, [.. parameters.Select(parameter => parameter.Name)]);
        var context = arguments.Context;
        var line = context.Line;
        var text = context.CallMacro(() =>
        {
            for (var i = 0; i < parameters.Count; i++)
            {
                var (parameter, fallback) = parameters[i];
                var given = arguments.Get(i, parameter, new Undefined(parameter));
                var takesDefault = given is Undefined && fallback is not null;
                context.Assign(parameter, takesDefault ? fallback!.Evaluate(context) : given);
            }

            RunAll(body, context);
        });
        context.Line = line;
        return text;
    }
}
