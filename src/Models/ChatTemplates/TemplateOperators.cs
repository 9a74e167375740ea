namespace Krewe.Models;

/// <summary>Comparison and arithmetic as Python defines them for the template's kinds of values.</summary>
internal static class TemplateOperators
{
    public static bool Compare(TemplateContext context, string op, object? left, object? right)
    {
        switch (op)
        {
            case "==":
                return TemplateValues.AreEqual(context, left, right);
            case "!=":
                return !TemplateValues.AreEqual(context, left, right);
            case "in":
                return Contains(context, right, left);
            case "not in":
                return !Contains(context, right, left);
        }

        int order;
        if (left is string a && right is string b)
            order = string.CompareOrdinal(a, b);
        else if (TemplateValues.TryNumber(left, out var x) && TemplateValues.TryNumber(right, out var y))
            order = x.CompareTo(y);
        else
            throw context.Error(
                $"{TemplateValues.KindOf(left)} {op} {TemplateValues.KindOf(right)} cannot be compared");
        return op switch
        {
            "<" => order < 0,
            "<=" => order <= 0,
            ">" => order > 0,
            _ => order >= 0,
        };
    }

    public static bool Contains(TemplateContext context, object? container, object? item)
    {
        switch (container)
        {
            case string text when item is string part:
                context.DemandChars(text.Length);
                return text.Contains(part, StringComparison.Ordinal);
            case List<object?> list:
                context.Spend(list.Count);
                return list.Exists(element => TemplateValues.AreEqual(context, element, item));
            case TemplateMap map:
                return item is string key && map.ContainsKey(key);
            case Undefined:
                return false;
            default:
                throw context.Error(
                    $"{TemplateValues.KindOf(item)} in {TemplateValues.KindOf(container)} cannot be asked");
        }
    }

    public static object? Apply(TemplateContext context, string op, object? left, object? right)
    {
        switch (op)
        {
            case "~":
                return Concatenate(context, TemplateText.Of(context, left), TemplateText.Of(context, right));
            case "+" when left is string a && right is string b:
                return Concatenate(context, a, b);
            case "+" when left is List<object?> a && right is List<object?> b:
                context.Spend(a.Count + b.Count);
                return a.Concat(b).ToList();
            case "*" when left is string text && right is long times:
                return Repeat(context, text, times);
        }

        if (left is long m && right is long n && op != "/")
            return ApplyWhole(context, op, m, n);
        if (TemplateValues.TryNumber(left, out var x) && TemplateValues.TryNumber(right, out var y))
        {
            return left is bool || right is bool
                ? throw context.Error($"{op} on booleans is not supported")
                : ApplyReal(context, op, x, y);
        }

        throw context.Error($"{TemplateValues.KindOf(left)} {op} {TemplateValues.KindOf(right)} is not possible");
    }

    private static string Concatenate(TemplateContext context, string a, string b)
    {
        context.DemandChars((long)a.Length + b.Length);
        return a + b;
    }

    private static string Repeat(TemplateContext context, string text, long times)
    {
        times = Math.Clamp(times, 0, TemplateContext.CharsMax + 1L);
        context.DemandChars(text.Length * times);
        return string.Concat(Enumerable.Repeat(text, (int)times));
    }

    private static long ApplyWhole(TemplateContext context, string op, long m, long n)
    {
        if (op is "//" or "%" && n == 0)
            throw context.Error("division by zero");
        try
        {
            checked
            {
                // Python rounds towards minus infinity; the remainder takes the divisor's sign.
                var remainder = op is "//" or "%" && n != -1 ? m % n : 0;
                var wraps = remainder != 0 && (remainder < 0) != (n < 0);
                return op switch
                {
                    "+" => m + n,
                    "-" => m - n,
                    "*" => m * n,
                    "%" => wraps ? remainder + n : remainder,
                    _ => m / n - (wraps ? 1 : 0),
                };
            }
        }
        catch (OverflowException e)
        {
            throw new TemplateException(context.Error($"{m} {op} {n} does not fit into 64 bits").Message, e);
        }
    }

    private static double ApplyReal(TemplateContext context, string op, double x, double y)
    {
        if (op is "/" or "//" or "%" && y == 0)
            throw context.Error("division by zero");
        return op switch
        {
            "+" => x + y,
            "-" => x - y,
            "*" => x * y,
            "/" => x / y,
            "//" => Math.Floor(x / y),
            _ => x - y * Math.Floor(x / y),
        };
    }
}
