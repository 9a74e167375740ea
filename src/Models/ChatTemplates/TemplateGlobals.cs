using System.Globalization;
using System.Text;

namespace Krewe.Models;

/// <summary>The functions that every template can call.</summary>
internal static class TemplateGlobals
{
    private const int RangeItemsMax = 100_000;

    public static Dictionary<string, object?> Functions { get; } = new(StringComparer.Ordinal)
    {
        ["raise_exception"] = (TemplateFunction)(arguments =>
            throw new TemplateException(TemplateText.Of(arguments.Context, arguments.Get(0, "message")))),
        ["namespace"] = (TemplateFunction)MakeNamespace,
        ["dict"] = (TemplateFunction)MakeMap,
        ["range"] = (TemplateFunction)MakeRange,
        ["strftime_now"] = (TemplateFunction)(arguments =>
            FormatTime(arguments.Context.Clock.GetUtcNow(), arguments.Text(0, "format"), arguments.Context)),
    };

    private static TemplateNamespace MakeNamespace(TemplateArguments arguments)
    {
        arguments.DemandAtMost(0, [.. arguments.Named.Keys]);
        var space = new TemplateNamespace();
        foreach (var (name, value) in arguments.Named)
            space.Values[name] = value;
        return space;
    }

    private static TemplateMap MakeMap(TemplateArguments arguments)
    {
        arguments.DemandAtMost(0, [.. arguments.Named.Keys]);
        var map = new TemplateMap();
        foreach (var (name, value) in arguments.Named)
            map[name] = value;
        return map;
    }

    private static List<object?> MakeRange(TemplateArguments arguments)
    {
        arguments.DemandAtMost(3);
        var (start, stop) = arguments.Count > 1
            ? (arguments.Whole(0, "start", 0), arguments.Whole(1, "stop", 0))
            : (0, arguments.Whole(0, "stop", 0));
        var step = arguments.Whole(2, "step", 1);
        if (step == 0)
            throw arguments.Context.Error("the step of range must not be 0");
        var items = new List<object?>();
        for (Int128 i = start; step > 0 ? i < stop : i > stop; i += step)
        {
            if (items.Count == RangeItemsMax)
                throw arguments.Context.Error($"range gives more than {RangeItemsMax} items");
            items.Add((long)i);
        }

        arguments.Context.Spend(items.Count);
        return items;
    }

    private static string FormatTime(DateTimeOffset now, string format, TemplateContext context)
    {
        var text = new StringBuilder();
        for (var i = 0; i < format.Length; i++)
        {
            if (format[i] != '%' || i + 1 == format.Length)
            {
                text.Append(format[i]);
                continue;
            }

            var code = format[++i];
            var pattern = code switch
            {
                'Y' => "yyyy",
                'y' => "yy",
                'm' => "MM",
                'd' => "dd",
                'B' => "MMMM",
                'b' => "MMM",
                'A' => "dddd",
                'a' => "ddd",
                'H' => "HH",
                'I' => "hh",
                'M' => "mm",
                'S' => "ss",
                'p' => "tt",
                '%' => "'%'",
                _ => throw context.Error($"strftime_now does not know %{code}"),
            };
            text.Append(now.ToString(pattern, CultureInfo.InvariantCulture));
        }

        return text.ToString();
    }
}
