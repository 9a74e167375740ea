namespace Krewe.Models;

/// <summary>A node of an expression.</summary>
internal abstract class TemplateExpression
{
    /// <summary>The value, within the context's budget.</summary>
    public object? Evaluate(TemplateContext context)
    {
        context.Step();
        return Compute(context);
    }

    protected abstract object? Compute(TemplateContext context);
}

internal sealed class LiteralExpression(object? value) : TemplateExpression
{
    protected override object? Compute(TemplateContext context) => value;
}

internal sealed class NameExpression(string name) : TemplateExpression
{
    public string Name => name;

    protected override object? Compute(TemplateContext context) => context.Lookup(name);
}

internal sealed class ListExpression(List<TemplateExpression> items) : TemplateExpression
{
    protected override object? Compute(TemplateContext context) => items.ConvertAll(item => item.Evaluate(context));
}

internal sealed class TupleExpression(List<TemplateExpression> items) : TemplateExpression
{
    protected override object? Compute(TemplateContext context) =>
        new TemplateTuple(items.Select(item => item.Evaluate(context)));
}

internal sealed class MapExpression(List<(TemplateExpression Key, TemplateExpression Value)> members)
    : TemplateExpression
{
    protected override object? Compute(TemplateContext context)
    {
        var map = new TemplateMap();
        foreach (var (key, value) in members)
        {
            var name = key.Evaluate(context) as string
                ?? throw context.Error("the keys of a dictionary must be strings");
            map[name] = value.Evaluate(context);
        }

        return map;
    }
}

/// <summary><c>a if condition else b</c>; without else, undefined.</summary>
internal sealed class ConditionalExpression(
    TemplateExpression condition, TemplateExpression then, TemplateExpression? otherwise) : TemplateExpression
{
    protected override object? Compute(TemplateContext context) =>
        TemplateValues.IsTrue(condition.Evaluate(context)) ? then.Evaluate(context)
        : otherwise is not null ? otherwise.Evaluate(context)
        : new Undefined("the missing else of a conditional expression");
}

/// <summary><c>and</c>, <c>or</c>: give the operand that decides, as Python does.</summary>
internal sealed class LogicExpression(bool isAnd, TemplateExpression left, TemplateExpression right)
    : TemplateExpression
{
    protected override object? Compute(TemplateContext context)
    {
        var first = left.Evaluate(context);
        return TemplateValues.IsTrue(first) == isAnd ? right.Evaluate(context) : first;
    }
}

internal sealed class NotExpression(TemplateExpression operand) : TemplateExpression
{
    protected override object? Compute(TemplateContext context) => !TemplateValues.IsTrue(operand.Evaluate(context));
}

/// <summary>A chain of comparisons: <c>a &lt; b &lt; c</c> is <c>a &lt; b and b &lt; c</c>.</summary>
internal sealed class CompareExpression(
    TemplateExpression first, List<(string Operator, TemplateExpression Operand)> rest) : TemplateExpression
{
    protected override object? Compute(TemplateContext context)
    {
        var left = first.Evaluate(context);
        foreach (var (op, operand) in rest)
        {
            var right = operand.Evaluate(context);
            if (!TemplateOperators.Compare(context, op, left, right))
                return false;
            left = right;
        }

        return true;
    }
}

internal sealed class ArithmeticExpression(string op, TemplateExpression left, TemplateExpression right)
    : TemplateExpression
{
    protected override object? Compute(TemplateContext context) =>
        TemplateOperators.Apply(context, op, left.Evaluate(context), right.Evaluate(context));
}

internal sealed class SignExpression(bool negative, TemplateExpression operand) : TemplateExpression
{
    protected override object? Compute(TemplateContext context) => operand.Evaluate(context) switch
    {
        // Boxed at once: the common type of the arms would be double.
        long whole => (object)(negative ? unchecked(-whole) : whole),
        double real => negative ? -real : real,
        var other => throw context.Error($"a sign needs a number, found {TemplateValues.KindOf(other)}"),
    };
}

internal sealed class AttributeExpression(TemplateExpression target, string name) : TemplateExpression
{
    protected override object? Compute(TemplateContext context) =>
        TemplateAttributes.Get(context, target.Evaluate(context), name);
}

internal sealed class IndexExpression(TemplateExpression target, TemplateExpression index) : TemplateExpression
{
    protected override object? Compute(TemplateContext context) =>
        TemplateAttributes.Index(context, target.Evaluate(context), index.Evaluate(context));
}

internal sealed class SliceExpression(
    TemplateExpression target, TemplateExpression? start, TemplateExpression? stop, TemplateExpression? step)
    : TemplateExpression
{
    protected override object? Compute(TemplateContext context) => TemplateAttributes.Slice(
        context, target.Evaluate(context), Bound(context, start), Bound(context, stop), Bound(context, step));

    private static long? Bound(TemplateContext context, TemplateExpression? bound) => bound?.Evaluate(context) switch
    {
        null => null,
        long whole => whole,
        var other => throw context.Error($"a slice needs integers, found {TemplateValues.KindOf(other)}"),
    };
}

/// <summary>The arguments as written at a call, filter or test.</summary>
internal sealed record ArgumentList(
    List<TemplateExpression> Positional, Dictionary<string, TemplateExpression> Named)
{
    public static ArgumentList None { get; } = new([], []);

    public TemplateArguments Evaluate(TemplateContext context, string callee) => new(
        callee, context, Positional.ConvertAll(argument => argument.Evaluate(context)),
        Named.ToDictionary(argument => argument.Key, argument => argument.Value.Evaluate(context)));
}

internal sealed class CallExpression(TemplateExpression callee, string name, ArgumentList arguments)
    : TemplateExpression
{
    protected override object? Compute(TemplateContext context) => callee.Evaluate(context) switch
    {
        TemplateFunction function => function(arguments.Evaluate(context, name)),
        Undefined undefined => throw context.Error($"\"{undefined.Name}\" is undefined and cannot be called"),
        var other => throw context.Error($"{TemplateValues.KindOf(other)} cannot be called"),
    };
}

internal sealed class FilterExpression(
    TemplateExpression value, string name, TemplateFilter filter, ArgumentList arguments)
    : TemplateExpression
{
    protected override object? Compute(TemplateContext context) =>
        filter(value.Evaluate(context), arguments.Evaluate(context, name));
}

internal sealed class TestExpression(
    TemplateExpression value, string name, TemplateTest test, ArgumentList arguments, bool negated) : TemplateExpression
{
    protected override object? Compute(TemplateContext context) =>
        test(value.Evaluate(context), arguments.Evaluate(context, name)) != negated;
}
