using System.Text.Json;

namespace Krewe.Models;

/// <summary>Arrays, strings and numbers.</summary>
internal sealed partial class SchemaCompiler
{
    /// <summary>Digits behind the point of a bound that are kept exactly.</summary>
    private const int BoundDigitsMax = 6;

    private static readonly string[] NumberFormats = ["int32", "int64", "float", "double"];

    private Expr CompileArray(List<SchemaPart> all)
    {
        var (min, max) = Bounds(all, "minItems", "maxItems");
        var prefixed = all.Where(part => part.Find("prefixItems") is not null)
            .Select(part => part.Items("prefixItems").ToList()).ToList();
        var places = prefixed.Count == 0 ? 0 : prefixed.Max(list => list.Count);
        // Behind named places nothing more is written unless the schema speaks of it.
        var goesOn = places == 0 || min > places || all.Exists(part => part.Find("items") is not null);
        if (!goesOn) max = Math.Min(max ?? places, places);
        var (space, comma) = (JsonText.WhiteSpace(grammar), JsonText.Comma(grammar));
        List<Expr.Step> steps = [];
        Expr? rest = null;

        // Node i: so many items were written; the last node is the end.
        var nodes = max ?? Math.Max(Math.Max(places, min), 1);
        for (var i = 0; i < nodes; i++)
        {
            budget.TakeDraftState();
            steps.Add(new Expr.Step(i, i + 1, i == 0 ? Item(0) : Expr.Of(comma, Item(i))));
        }

        if (max is null) steps.Add(new Expr.Step(nodes, nodes, Expr.Of(comma, Item(places))));
        for (var i = min; i <= nodes; i++) steps.Add(new Expr.Step(i, nodes + 1, null));
        return Expr.Of(Expr.Text("["), space, new Expr.Graph(nodes + 2, [.. steps]), space, Expr.Text("]"));

        Expr Item(int place) => place < places
            ? CompileItem(all, place)
            : rest ??= grammar.Add("an item", CompileItem(all, places));
    }

    /// <summary>Each schema's own place, or what it says of the items behind its places.</summary>
    private Expr CompileItem(List<SchemaPart> all, int place)
    {
        List<SchemaPart> parts = [];
        foreach (var part in all)
        {
            var named = part.Find("prefixItems") is null ? [] : part.Items("prefixItems").ToList();
            if (place < named.Count) parts.Add(named[place]);
            else if (part.Find("items") is { } items)
            {
                if (items.ValueKind == JsonValueKind.Array)
                    throw part.Error("items", "must be one schema; use prefixItems for one schema a place");
                parts.Add(part.Below("items"));
            }
        }

        return parts.Count == 0 ? JsonText.Value(grammar) : Compile(parts);
    }

    private Expr CompileString(List<SchemaPart> all)
    {
        var (min, max) = Bounds(all, "minLength", "maxLength");
        Dfa? pattern = null;
        foreach (var part in all)
        {
            if (part.Text("pattern") is { } searched)
                Add(RegexParser.Parse(searched, isSearch: true, $"{part.Path}.pattern", budget));
            if (part.Text("format") is { } format) Add(FormatOf(part, format));
        }

        if (pattern is not null)
        {
            if (min > 0 || max is not null) Add(Dfa.OfLength(min, max, budget));
            return JsonText.Quoted(pattern.ToExpr(inJson: true));
        }

        return min == 0 && max is null
            ? JsonText.String(grammar)
            : JsonText.Quoted(new Expr.Repeat(new Expr.Chars(CodePointSet.All, InJson: true), min, max));

        void Add(Dfa other) => pattern = pattern?.Intersect(other, budget) ?? other;
    }

    private Dfa FormatOf(SchemaPart part, string format)
    {
        var pattern = StringFormats.PatternOf(format) ?? throw part.Error(
            "format", $"is \"{format}\"; supported are {StringFormats.Names}. Use pattern instead");
        return RegexParser.Parse(pattern, isSearch: false, $"{part.Path}.format", budget);
    }

    private Expr CompileNumber(List<SchemaPart> all, bool isInteger)
    {
        foreach (var part in all)
        {
            if (part.Text("format") is { } format && !NumberFormats.Contains(format))
                throw part.Error("format", $"of a number must be one of {string.Join(", ", NumberFormats)}");
        }

        var low = all.Max(part => part.Number("minimum"));
        var high = all.Min(part => part.Number("maximum"));
        var above = all.Max(part => part.Number("exclusiveMinimum"));
        var below = all.Min(part => part.Number("exclusiveMaximum"));
        var isAbove = above is not null && (low is null || above >= low);
        var isBelow = below is not null && (high is null || below <= high);
        (low, high) = (isAbove ? above : low, isBelow ? below : high);
        var digits = JsonText.DigitsMax;
        if (ReadDivisor(all) is var (owner, divisor))
        {
            if (divisor == decimal.Truncate(divisor))
            {
                return NumberText.Multiples((long)divisor, Ceiling(low, isAbove), Floor(high, isBelow), budget)
                    ?? throw owner.Error(
                        "multipleOf",
                        "can be kept between two near bounds, or, up to 500, from minimum 0 on or without bounds");
            }

            digits = isInteger ? 0 : FractionDigits(owner, divisor);
        }

        if (isInteger)
        {
            return low is null && high is null
                ? JsonText.Integer(grammar)
                : NumberText.Integers(Ceiling(low, isAbove), Floor(high, isBelow));
        }

        return low is null && high is null && digits == JsonText.DigitsMax
            ? JsonText.Number(grammar)
            : CompileReals(low, isAbove, high, isBelow, digits);
    }

    private static Expr CompileReals(decimal? low, bool isAbove, decimal? high, bool isBelow, int digits)
    {
        // One beyond the largest still says that nothing is there, and does not overflow below.
        const decimal Outmost = NumberText.Largest + 1;
        var from = Math.Clamp(low ?? -NumberText.Largest, -Outmost, Outmost);
        var to = Math.Clamp(high ?? NumberText.Largest, -Outmost, Outmost);
        if (IsWhole(from) && IsWhole(to))
        {
            return NumberText.Reals(
                Ceiling(from, false), isAbove && from >= -NumberText.Largest, Floor(to, false),
                isBelow && to <= NumberText.Largest, digits);
        }

        // Bounds of more digits than can be written are rounded inwards. One digit more than they have leaves room
        // between two near ones.
        var (places, unit) = (0, 1m);
        var most = Math.Min(digits, BoundDigitsMax);
        while (places < most && (!IsWhole(from * unit) || !IsWhole(to * unit)))
            (places, unit) = (places + 1, unit * 10);
        if (places < most) (places, unit) = (places + 1, unit * 10);
        var limit = NumberText.Largest / (decimal)Math.Pow(10, places);
        from = Math.Max(from, -decimal.Truncate(limit));
        to = Math.Min(to, decimal.Truncate(limit));
        return NumberText.FixedPoint(Ceiling(from * unit, isAbove), Floor(to * unit, isBelow), places);
    }

    private static (SchemaPart Owner, decimal Divisor)? ReadDivisor(List<SchemaPart> all)
    {
        (SchemaPart, decimal)? found = null;
        foreach (var part in all)
        {
            if (part.Number("multipleOf") is not { } divisor) continue;
            if (divisor is <= 0 or > NumberText.Largest) throw part.Error("multipleOf", "must be above 0");
            if (found is not null) throw part.Error("multipleOf", "may be given once");
            found = (part, divisor);
        }

        return found;
    }

    private static int FractionDigits(SchemaPart owner, decimal divisor)
    {
        var unit = 1m;
        for (var digits = 1; digits <= BoundDigitsMax; digits++)
        {
            unit /= 10;
            if (divisor == unit) return digits;
        }

        throw owner.Error("multipleOf", "must be a whole number, or 0.1, 0.01 and so on");
    }

    private static bool IsWhole(decimal value) => value == decimal.Truncate(value);

    private static long Ceiling(decimal? bound, bool excludes)
    {
        if (bound is not { } value || value < -NumberText.Largest) return -NumberText.Largest;
        if (value > NumberText.Largest) return NumberText.Largest + 1;
        return (long)Math.Ceiling(value) + (excludes && value == Math.Ceiling(value) ? 1 : 0);
    }

    private static long Floor(decimal? bound, bool excludes)
    {
        if (bound is not { } value || value > NumberText.Largest) return NumberText.Largest;
        if (value < -NumberText.Largest) return -NumberText.Largest - 1;
        return (long)Math.Floor(value) - (excludes && value == Math.Floor(value) ? 1 : 0);
    }
}
