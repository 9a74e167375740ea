using System.Globalization;

namespace Krewe.Models;

/// <summary>Attributes, items and slices of template values.</summary>
internal static class TemplateAttributes
{
    /// <summary><c>target.name</c>: a method before a dictionary's item, as Jinja looks.</summary>
    public static object? Get(TemplateContext context, object? target, string name) => target switch
    {
        Undefined undefined =>
            throw context.Error($"\"{undefined.Name}\" is undefined, so it has no attribute \"{name}\""),
        TemplateMap map => (object?)TemplateMethods.OfMap(map, name)
            ?? map.GetValueOrDefault(name, new Undefined(name)),
        TemplateNamespace space => space.Values.GetValueOrDefault(name, new Undefined(name)),
        TemplateLoop loop => loop.Get(name),
        string text => (object?)TemplateMethods.OfString(text, name) ?? new Undefined(name),
        _ => new Undefined(name),
    };

    /// <summary><c>target[index]</c>: an item before a method.</summary>
    public static object? Index(TemplateContext context, object? target, object? index) => (target, index) switch
    {
        (TemplateMap map, string key) => map.TryGetValue(key, out var value) ? value : Get(context, target, key),
        (_, string name) => Get(context, target, name),
        (List<object?> list, long at) => At(list.Count, at) is { } i ? list[i] : Missing(at),
        (string text, long at) =>
            Characters(context, text) is var all && At(all.Count, at) is { } i ? all[i] : Missing(at),
        (Undefined undefined, _) => throw context.Error($"\"{undefined.Name}\" is undefined, so it has no items"),
        _ => new Undefined(TemplateText.Of(context, index)),
    };

    /// <summary><c>target[start:stop:step]</c> of a list or a string.</summary>
    public static object? Slice(TemplateContext context, object? target, long? start, long? stop, long? step)
    {
        var by = step ?? 1;
        if (by == 0)
            throw context.Error("the step of a slice must not be 0");
        switch (target)
        {
            case List<object?> list:
                context.Spend(list.Count);
                return Select(list, start, stop, by);
            case string text:
                return string.Concat(Select(Characters(context, text), start, stop, by));
            default:
                throw context.Error($"{TemplateValues.KindOf(target)} cannot be sliced");
        }
    }

    /// <summary>The code points of a text: what Python counts and indexes.</summary>
    public static List<string> Characters(TemplateContext context, string text)
    {
        context.Spend(text.Length);
        return [.. text.EnumerateRunes().Select(rune => rune.ToString())];
    }

    private static int? At(int count, long index)
    {
        var at = index < 0 ? index + count : index;
        return at >= 0 && at < count ? (int)at : null;
    }

    private static Undefined Missing(long index) => new(string.Create(CultureInfo.InvariantCulture, $"item {index}"));

    private static List<T> Select<T>(List<T> items, long? start, long? stop, long step)
    {
        var count = items.Count;
        // Positions just outside the items, where a walk in that direction begins or ends by default.
        var (low, high) = step > 0 ? (0, count) : (-1, count - 1);
        var from = start is { } s ? Math.Clamp(s < 0 ? s + count : s, low, high) : step > 0 ? low : high;
        var to = stop is { } e ? Math.Clamp(e < 0 ? e + count : e, low, high) : step > 0 ? high : low;
        var result = new List<T>();
        for (var i = from; step > 0 ? i < to : i > to; i += step)
        {
            result.Add(items[(int)i]);
            if (step > count || step < -count)
                break;
        }

        return result;
    }
}
