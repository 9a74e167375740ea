namespace Krewe.Models;

/// <summary>The variable <c>loop</c> inside a for.</summary>
internal sealed class TemplateLoop(List<object?> items)
{
    public int Index { get; set; }

    public object? Get(string name) => name switch
    {
        "index" => Index + 1L,
        "index0" => (long)Index,
        "revindex" => (long)items.Count - Index,
        "revindex0" => items.Count - Index - 1L,
        "first" => Index == 0,
        "last" => Index == items.Count - 1,
        "length" => (long)items.Count,
        "previtem" => Index > 0 ? items[Index - 1] : new Undefined("loop.previtem"),
        "nextitem" => Index + 1 < items.Count ? items[Index + 1] : new Undefined("loop.nextitem"),
        "depth" => 1L,
        "cycle" => (TemplateFunction)(arguments => arguments.Count > 0
            ? arguments.Positional[Index % arguments.Count]
            : throw arguments.Context.Error("loop.cycle needs values")),
        _ => new Undefined($"loop.{name}"),
    };
}

/// <summary><c>for target in items if condition</c>, with <c>else</c> for no items. What the body sets ends with each
/// item; a namespace carries values out.</summary>
internal sealed class ForStatement(
    int line, TemplateTarget target, TemplateExpression items, TemplateExpression? condition,
    List<TemplateStatement> body, List<TemplateStatement> otherwise) : TemplateStatement(line)
{
    protected override TemplateFlow Run(TemplateContext context)
    {
        var chosen = TemplateFilters.Items(items.Evaluate(context), context).ToList();
        if (condition is not null)
            chosen = chosen.FindAll(item => Meets(context, item));
        if (chosen.Count == 0)
            return RunAll(otherwise, context);

        var loop = new TemplateLoop(chosen);
        for (; loop.Index < chosen.Count; loop.Index++)
        {
            context.Push();
            context.Assign("loop", loop);
            target.Assign(context, chosen[loop.Index]);
            var flow = RunAll(body, context);
            context.Pop();
            if (flow == TemplateFlow.Break)
                break;
        }

        return TemplateFlow.Next;
    }

    private bool Meets(TemplateContext context, object? item)
    {
        context.Push();
        target.Assign(context, item);
        var meets = TemplateValues.IsTrue(condition!.Evaluate(context));
        context.Pop();
        return meets;
    }
}
