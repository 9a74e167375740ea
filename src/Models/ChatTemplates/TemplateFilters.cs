using System.Globalization;

namespace Krewe.Models;

/// <summary>A filter: its value and the arguments behind its name.</summary>
internal delegate object? TemplateFilter(object? value, TemplateArguments arguments);

/// <summary>The filters that chat templates use. A template that names another is refused when it is parsed.</summary>
internal static class TemplateFilters
{
    private static readonly Dictionary<string, TemplateFilter> All = new(StringComparer.Ordinal)
    {
        ["trim"] = (value, arguments) =>
            TemplateMethods.Strip(Text(value, arguments), arguments, left: true, right: true),
        ["tojson"] = ToJson,
        ["length"] = (value, arguments) => Length(value, arguments),
        ["count"] = (value, arguments) => Length(value, arguments),
        ["join"] = (value, arguments) => Join(
            arguments.Context, value, TemplateText.Of(arguments.Context, arguments.Get(0, "d", "")),
            arguments.OptionalText(1, "attribute")),
        ["upper"] = (value, arguments) => Text(value, arguments).ToUpperInvariant(),
        ["lower"] = (value, arguments) => Text(value, arguments).ToLowerInvariant(),
        ["capitalize"] = (value, arguments) => Capitalize(Text(value, arguments)),
        ["title"] = (value, arguments) => Title(Text(value, arguments)),
        ["default"] = Default,
        ["d"] = Default,
        ["first"] = (value, arguments) => Items(value, arguments).FirstOrDefault(new Undefined("the first of nothing")),
        ["last"] = (value, arguments) => Items(value, arguments).LastOrDefault(new Undefined("the last of nothing")),
        ["list"] = (value, arguments) => Items(value, arguments).ToList(),
        ["reverse"] = (value, arguments) => value is string
            ? TemplateAttributes.Slice(arguments.Context, value, null, null, -1)
            : Items(value, arguments).Reverse().ToList(),
        ["items"] = (value, arguments) => value switch
        {
            TemplateMap map => TemplateMethods.Items(map),
            Undefined => new List<object?>(),
            _ => throw arguments.Context.Error($"items needs a dictionary, found {TemplateValues.KindOf(value)}"),
        },
        ["string"] = (value, arguments) => TemplateText.Of(arguments.Context, value),
        ["safe"] = (value, _) => value,
        ["int"] = (value, arguments) => ToWhole(value, arguments),
        ["float"] = (value, arguments) => TemplateValues.TryNumber(value, out var number) ? number
            : double.TryParse(value as string, CultureInfo.InvariantCulture, out number) ? number
            : arguments.Get(0, "default", 0.0),
        ["replace"] = (value, arguments) => Replace(Text(value, arguments), arguments),
        ["indent"] = Indent,
        ["map"] = TemplateSelections.Map,
        ["select"] = (value, arguments) =>
            TemplateSelections.Select(value, arguments, byAttribute: false, wanted: true),
        ["reject"] = (value, arguments) =>
            TemplateSelections.Select(value, arguments, byAttribute: false, wanted: false),
        ["selectattr"] = (value, arguments) =>
            TemplateSelections.Select(value, arguments, byAttribute: true, wanted: true),
        ["rejectattr"] = (value, arguments) =>
            TemplateSelections.Select(value, arguments, byAttribute: true, wanted: false),
    };

    public static TemplateFilter? Find(string name) => All.GetValueOrDefault(name);

    /// <summary>What a for loop or a list filter walks over.</summary>
    public static IEnumerable<object?> Items(object? value, TemplateArguments arguments) =>
        Items(value, arguments.Context);

    /// <inheritdoc cref="Items(object?, TemplateArguments)"/>
    public static IEnumerable<object?> Items(object? value, TemplateContext context)
    {
        switch (value)
        {
            case List<object?> list:
                context.Spend(list.Count);
                return list;
            case TemplateMap map:
                context.Spend(map.Count);
                return map.Keys;
            case string text:
                return TemplateAttributes.Characters(context, text);
            case Undefined:
                return [];
            default:
                throw context.Error($"{TemplateValues.KindOf(value)} cannot be iterated");
        }
    }

    public static string Capitalize(string text) =>
        text.Length == 0 ? text : char.ToUpperInvariant(text[0]) + text[1..].ToLowerInvariant();

    public static string Title(string text) =>
        CultureInfo.InvariantCulture.TextInfo.ToTitleCase(text.ToLowerInvariant());

    public static string Replace(string text, TemplateArguments arguments)
    {
        arguments.DemandAtMost(2, "old", "new");
        var (from, to) = (arguments.Text(0, "old"), arguments.Text(1, "new"));
        if (from.Length == 0)
            throw arguments.Context.Error("replace needs a text that is not empty");
        // Counted first: the product of two lengths must not be allocated before it is known to be allowed.
        var found = text.AsSpan().Count(from);
        arguments.Context.DemandChars(text.Length + (long)found * Math.Max(0, to.Length - from.Length));
        return text.Replace(from, to, StringComparison.Ordinal);
    }

    public static string Join(TemplateContext context, object? value, string separator, string? attribute)
    {
        var parts = new List<string>();
        var chars = 0L;
        foreach (var item in Items(value, context))
        {
            var shown = attribute is null ? item : TemplateAttributes.Get(context, item, attribute);
            var part = TemplateText.Of(context, shown);
            parts.Add(part);
            chars += part.Length + separator.Length;
            context.Spend(1);
            if (chars > TemplateContext.CharsMax)
                break;
        }

        context.DemandChars(chars);
        return string.Join(separator, parts);
    }

    /// <summary>As Jinja's text filters take any value: as it prints.</summary>
    private static string Text(object? value, TemplateArguments arguments) =>
        TemplateText.Of(arguments.Context, value);

    private static string ToJson(object? value, TemplateArguments arguments)
    {
        arguments.DemandAtMost(1, "indent", "ensure_ascii");
        const long IndentMax = 16;
        int? indent = arguments.Get(0, "indent") is null ? null
            : (int)Math.Clamp(arguments.Whole(0, "indent", 0), 0, IndentMax);
        return TemplateText.ToJson(arguments.Context, value, indent);
    }

    private static long Length(object? value, TemplateArguments arguments) => value switch
    {
        TemplateMap map => map.Count,
        List<object?> list => list.Count,
        string text => TextLength(text, arguments),
        Undefined => 0,
        _ => throw arguments.Context.Error($"{TemplateValues.KindOf(value)} has no length"),
    };

    private static long TextLength(string text, TemplateArguments arguments)
    {
        arguments.Context.DemandChars(text.Length);
        return text.Length - text.Count(char.IsLowSurrogate);
    }

    private static object? Default(object? value, TemplateArguments arguments)
    {
        arguments.DemandAtMost(2, "default_value", "boolean");
        var replaces = value is Undefined
            || (TemplateValues.IsTrue(arguments.Get(1, "boolean", false)) && !TemplateValues.IsTrue(value));
        return replaces ? arguments.Get(0, "default_value", "") : value;
    }

    private static long ToWhole(object? value, TemplateArguments arguments) => value switch
    {
        long whole => whole,
        bool b => b ? 1L : 0L,
        double real when Math.Abs(real) < 9e18 => (long)real,
        string text when long.TryParse(text.Trim(), CultureInfo.InvariantCulture, out var parsed) => parsed,
        _ => arguments.Whole(0, "default", 0),
    };

    private static string Indent(object? value, TemplateArguments arguments)
    {
        arguments.DemandAtMost(3, "width", "first", "blank");
        var text = value as string
            ?? throw arguments.Context.Error($"indent needs a text, found {TemplateValues.KindOf(value)}");
        var width = new string(' ', (int)Math.Clamp(arguments.Whole(0, "width", 4), 0, 64));
        arguments.Context.DemandChars(text.Length * (1L + width.Length));
        var lines = text.Split('\n');
        for (var i = 0; i < lines.Length; i++)
        {
            var indents = i == 0
                ? TemplateValues.IsTrue(arguments.Get(1, "first", false))
                : lines[i].Length > 0 || TemplateValues.IsTrue(arguments.Get(2, "blank", false));
            lines[i] = indents ? width + lines[i] : lines[i];
        }

        return string.Join('\n', lines);
    }
}
