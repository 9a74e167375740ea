using System.Text.Json;

namespace Krewe.Models;

// A template's values: null (None), bool, long, double, string, List<object?> (list), TemplateMap (dict), and the types
// below.

/// <summary>A name or attribute that does not exist. Prints as nothing, is false, and fails when used
/// further.</summary>
internal sealed record Undefined(string Name);

/// <summary>A dictionary with string keys, in insertion order.</summary>
internal sealed class TemplateMap : OrderedDictionary<string, object?>
{
    public TemplateMap()
        : base(StringComparer.Ordinal)
    {
    }
}

/// <summary>A list that prints with parentheses.</summary>
internal sealed class TemplateTuple(IEnumerable<object?> items) : List<object?>(items);

/// <summary><c>namespace()</c>: the one value whose attributes <c>set</c> may change.</summary>
internal sealed class TemplateNamespace
{
    public Dictionary<string, object?> Values { get; } = new(StringComparer.Ordinal);
}

/// <summary>A function, macro or bound method.</summary>
internal delegate object? TemplateFunction(TemplateArguments arguments);

/// <summary>Python's rules for truth, equality and kinds, over template values.</summary>
internal static class TemplateValues
{
    public static bool IsTrue(object? value) => value switch
    {
        null or Undefined => false,
        bool b => b,
        long number => number != 0,
        double number => number != 0,
        string text => text.Length > 0,
        List<object?> list => list.Count > 0,
        TemplateMap map => map.Count > 0,
        _ => true,
    };

    public static bool AreEqual(TemplateContext context, object? a, object? b)
    {
        // Values can be nested as deep, and shared as often, as a template's loop likes.
        context.Step();
        return (a, b) switch
        {
            (null, null) or (Undefined, Undefined) => true,
            (string x, string y) => string.Equals(x, y, StringComparison.Ordinal),
            (List<object?> x, List<object?> y) => x.Count == y.Count
                && x.Zip(y).All(pair => AreEqual(context, pair.First, pair.Second)),
            (TemplateMap x, TemplateMap y) => x.Count == y.Count
                && x.All(member => y.TryGetValue(member.Key, out var other) && AreEqual(context, member.Value, other)),
            _ => TryNumber(a, out var first) && TryNumber(b, out var second) ? first == second : ReferenceEquals(a, b),
        };
    }

    /// <summary>bool counts as 0 or 1, as in Python.</summary>
    public static bool TryNumber(object? value, out double number)
    {
        (var known, number) = value switch
        {
            bool b => (true, b ? 1d : 0d),
            long whole => (true, whole),
            double real => (true, real),
            _ => (false, 0d),
        };
        return known;
    }

    public static string KindOf(object? value) => value switch
    {
        null => "None",
        Undefined undefined => $"undefined ({undefined.Name})",
        bool => "a boolean",
        long or double => "a number",
        string => "a string",
        List<object?> => "a list",
        TemplateMap => "a dictionary",
        TemplateFunction => "a function",
        _ => "an object",
    };

    public static object? FromJson(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Object => FromObject(element),
        JsonValueKind.Array => element.EnumerateArray().Select(FromJson).ToList(),
        JsonValueKind.String => element.GetString(),
        JsonValueKind.Number => element.TryGetInt64(out var whole) ? (object)whole : element.GetDouble(),
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => null,
    };

    private static TemplateMap FromObject(JsonElement element)
    {
        var map = new TemplateMap();
        foreach (var member in element.EnumerateObject())
            map[member.Name] = FromJson(member.Value);
        return map;
    }
}
