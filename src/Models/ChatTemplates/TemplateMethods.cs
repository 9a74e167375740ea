namespace Krewe.Models;

/// <summary>Methods of strings and dictionaries, bound to their value.</summary>
internal static class TemplateMethods
{
    public static TemplateFunction? OfMap(TemplateMap map, string name) => name switch
    {
        "items" => _ => Items(map),
        "keys" => _ => map.Keys.ToList<object?>(),
        "values" => _ => map.Values.ToList(),
        "get" => arguments =>
            map.TryGetValue(arguments.Text(0, "key"), out var value) ? value : arguments.Get(1, "default"),
        _ => null,
    };

    public static TemplateFunction? OfString(string text, string name) => name switch
    {
        "strip" => arguments => Strip(text, arguments, left: true, right: true),
        "lstrip" => arguments => Strip(text, arguments, left: true, right: false),
        "rstrip" => arguments => Strip(text, arguments, left: false, right: true),
        "split" => arguments => Split(text, arguments),
        "startswith" => arguments => AnyAffix(arguments, affix => text.StartsWith(affix, StringComparison.Ordinal)),
        "endswith" => arguments => AnyAffix(arguments, affix => text.EndsWith(affix, StringComparison.Ordinal)),
        "upper" => _ => text.ToUpperInvariant(),
        "lower" => _ => text.ToLowerInvariant(),
        "title" => _ => TemplateFilters.Title(text),
        "capitalize" => _ => TemplateFilters.Capitalize(text),
        "replace" => arguments => TemplateFilters.Replace(text, arguments),
        "join" => arguments => TemplateFilters.Join(arguments.Context, arguments.Get(0, "iterable"), text, null),
        "find" => arguments => (long)text.IndexOf(arguments.Text(0, "sub"), StringComparison.Ordinal),
        "removeprefix" => arguments =>
            text.StartsWith(arguments.Text(0, "prefix"), StringComparison.Ordinal)
                ? text[arguments.Text(0, "prefix").Length..]
                : text,
        "removesuffix" => arguments =>
            text.EndsWith(arguments.Text(0, "suffix"), StringComparison.Ordinal)
                ? text[..^arguments.Text(0, "suffix").Length]
                : text,
        _ => null,
    };

    public static List<object?> Items(TemplateMap map) =>
        [.. map.Select(member => new TemplateTuple([member.Key, member.Value]))];

    /// <summary>Python's strip: whitespace, or any of the given characters.</summary>
    public static string Strip(string text, TemplateArguments arguments, bool left, bool right)
    {
        arguments.DemandAtMost(1, "chars");
        var chars = arguments.OptionalText(0, "chars");
        var (start, end) = (0, text.Length);
        while (left && start < end && IsStripped(text[start], chars))
            start++;
        while (right && end > start && IsStripped(text[end - 1], chars))
            end--;
        return text[start..end];
    }

    private static bool IsStripped(char c, string? chars) => chars?.Contains(c) ?? char.IsWhiteSpace(c);

    private static List<object?> Split(string text, TemplateArguments arguments)
    {
        arguments.DemandAtMost(2, "sep", "maxsplit");
        arguments.Context.DemandChars(text.Length);
        arguments.Context.Spend(text.Length / 8);
        var cutsMax = arguments.Whole(1, "maxsplit", -1);
        var partsMax = cutsMax < 0 ? int.MaxValue : (int)Math.Min(cutsMax + 1, int.MaxValue);
        if (arguments.OptionalText(0, "sep") is { } separator)
        {
            return separator.Length > 0
                ? [.. text.Split(separator, partsMax)]
                : throw arguments.Context.Error("split needs a separator that is not empty");
        }

        // Without a separator Python splits at runs of whitespace and has no empty parts; the last keeps its inside.
        var parts = new List<object?>();
        var rest = text.TrimStart();
        while (rest.Length > 0 && parts.Count < partsMax - 1)
        {
            var end = rest.AsSpan().IndexOfAny(Whitespace);
            if (end < 0)
                break;
            parts.Add(rest[..end]);
            rest = rest[end..].TrimStart();
        }

        if (rest.Length > 0)
            parts.Add(cutsMax < 0 ? rest.TrimEnd() : rest);
        return parts;
    }

    private static readonly System.Buffers.SearchValues<char> Whitespace = System.Buffers.SearchValues.Create(
        [.. Enumerable.Range(0, char.MaxValue + 1).Select(c => (char)c).Where(char.IsWhiteSpace)]);

    /// <summary>One affix, or a tuple of them.</summary>
    private static bool AnyAffix(TemplateArguments arguments, Func<string, bool> matches) =>
        arguments.Get(0, "prefix") is List<object?> several
            ? several.OfType<string>().Any(matches)
            : matches(arguments.Text(0, "prefix"));
}
