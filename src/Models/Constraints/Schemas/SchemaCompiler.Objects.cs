using System.Text.Json;

namespace Krewe.Models;

/// <summary>Objects: the named properties in the schema's order, then others where the schema asks for them.</summary>
internal sealed partial class SchemaCompiler
{
    private static readonly CodePointSet NameStart =
        CodePointSet.Range('a', 'z').Union(CodePointSet.Range('A', 'Z')).Union(CodePointSet.Of('_'));

    private static readonly CodePointSet NameRest =
        NameStart.Union(CodePointSet.Digits).Union(CodePointSet.Of('-'));

    private Expr CompileObject(List<SchemaPart> all)
    {
        var required = Required(all).ToHashSet(StringComparer.Ordinal);
        var names = NamesOf(all, required);
        var (min, max) = Bounds(all, "minProperties", "maxProperties");
        var others = Others(all);
        if (names.Count == 0 && others is { Count: 0 } && min == 0 && max is null) return JsonText.AnyObject(grammar);
        if (names.Count == 0) return CompileMap(others is null ? null : Compile(others), min, max);
        DemandCount(all, names.Count, required.Count, others is not null, min, max);
        return CompileProperties(
            [.. names.Select(name => (name, required.Contains(name), CompileProperty(all, name)))],
            others is { } extra ? Expr.Of(OtherName(names), JsonText.Colon, Compile(extra)) : null);
    }

    private static List<string> NamesOf(List<SchemaPart> all, HashSet<string> required) =>
    [
        .. all.Where(part => part.Find("properties") is not null)
            .SelectMany(part => part.Members("properties").Select(member => member.Name)).Concat(required).Distinct(),
    ];

    /// <summary>Properties in a JSON object: no comma before the first that is there.</summary>
    private Expr CompileProperties(List<(string Name, bool IsRequired, Expr Value)> properties, Expr? other)
    {
        // Nodes of property i: nothing was written yet, something was, its name comes next.
        var count = properties.Count;
        var (space, comma) = (JsonText.WhiteSpace(grammar), JsonText.Comma(grammar));
        List<Expr.Step> steps = [];
        for (var i = 0; i < count; i++)
        {
            var (name, isRequired, value) = properties[i];
            steps.Add(new Expr.Step(Empty(i), Name(i), null));
            steps.Add(new Expr.Step(Begun(i), Name(i), comma));
            steps.Add(new Expr.Step(
                Name(i), Begun(i + 1), Expr.Of(JsonText.Constant(name), JsonText.Colon, value)));
            if (isRequired) continue;
            steps.Add(new Expr.Step(Empty(i), Empty(i + 1), null));
            steps.Add(new Expr.Step(Begun(i), Begun(i + 1), null));
        }

        if (other is not null)
        {
            steps.Add(new Expr.Step(Empty(count), Name(count), null));
            steps.Add(new Expr.Step(Begun(count), Name(count), comma));
            steps.Add(new Expr.Step(Name(count), Begun(count), other));
        }

        var end = 3 * (count + 1);
        steps.Add(new Expr.Step(Empty(count), end, null));
        steps.Add(new Expr.Step(Begun(count), end, null));
        return Expr.Of(Expr.Text("{"), space, new Expr.Graph(end + 1, [.. steps]), space, Expr.Text("}"));

        static int Empty(int i) => 3 * i;
        static int Begun(int i) => (3 * i) + 1;
        static int Name(int i) => (3 * i) + 2;
    }

    /// <summary>An object of any names.</summary>
    private Expr CompileMap(Expr? value, int min, int? max)
    {
        var space = JsonText.WhiteSpace(grammar);
        List<Expr> options = [];
        if (min == 0) options.Add(Expr.Of(Expr.Text("{"), space, Expr.Text("}")));
        if (value is not null && max != 0)
        {
            var member = grammar.Add("a property", Expr.Of(OtherName([]), JsonText.Colon, value));
            options.Add(Expr.Of(
                Expr.Text("{"), space, member,
                new Expr.Repeat(Expr.Of(JsonText.Comma(grammar), member), Math.Max(min - 1, 0), max - 1), space,
                Expr.Text("}")));
        }

        return Expr.Any(options);
    }

    /// <summary>
    /// Each schema that names the property counts, and of one that does not what it says of all others.
    /// </summary>
    private Expr CompileProperty(List<SchemaPart> all, string name)
    {
        List<SchemaPart> parts = [];
        foreach (var part in all)
        {
            if (part.Find("properties") is { } map && map.TryGetProperty(name, out var named))
                parts.Add(new SchemaPart(named, $"{part.Path}.properties.{name}"));
            else if (part.Find("additionalProperties") is not null)
                parts.Add(part.Below("additionalProperties"));
        }

        return parts.Count == 0 ? JsonText.Value(grammar) : Compile(parts);
    }

    /// <summary>
    /// What properties must be that no schema names; empty = anything; null = there are none. A schema that names some
    /// and says nothing of others gets none.
    /// </summary>
    private static List<SchemaPart>? Others(List<SchemaPart> all)
    {
        List<SchemaPart> parts = [];
        var asked = !all.Exists(part => part.Find("properties") is not null || part.Find("required") is not null);
        foreach (var part in all)
        {
            if (part.Find("additionalProperties") is not { } field) continue;
            if (field.ValueKind == JsonValueKind.False) return null;
            asked = true;
            if (field.ValueKind != JsonValueKind.True) parts.Add(part.Below("additionalProperties"));
        }

        if (!asked) return null;
        return parts;
    }

    private static void DemandCount(
        List<SchemaPart> all, int named, int required, bool hasOthers, int min, int? max)
    {
        var (keyword, isKept) = min > required ? ("minProperties", false) : ("maxProperties", max is null
            || (max >= named && !hasOthers));
        if (isKept) return;
        throw all.First(part => part.Find(keyword) is not null).Error(
            keyword, "can only be kept where no properties are named; make properties required or leave them out");
    }

    private static (int Min, int? Max) Bounds(List<SchemaPart> all, string minKeyword, string maxKeyword)
    {
        var min = all.Max(part => part.Count(minKeyword)) ?? 0;
        return (min, all.Min(part => part.Count(maxKeyword)));
    }

    /// <summary>A name of letters, digits, _ and - that is none of these.</summary>
    private static Expr OtherName(List<string> taken) => JsonText.Quoted(
        taken.Count == 0
            ? Expr.Of(new Expr.Chars(NameStart), new Expr.Repeat(new Expr.Chars(NameRest), 0, null))
            : Differing([.. taken.Where(name => name.Length > 0)], NameStart));

    /// <summary>What of a name is left when the names that may still be meant go on like these.</summary>
    private static Expr Differing(List<string> rests, CodePointSet next)
    {
        List<Expr> options = [];
        var others = next;
        foreach (var group in rests.Where(rest => rest.Length > 0).GroupBy(rest => rest[0]))
        {
            if (!next.Contains(group.Key)) continue;
            var character = CodePointSet.Of(group.Key);
            others = others.Except(character);
            List<string> below = [.. group.Select(rest => rest[1..])];
            var tail = Differing(below, NameRest);
            options.Add(Expr.Of(new Expr.Chars(character), below.Contains("") ? tail : Expr.Optional(tail)));
        }

        options.Add(Expr.Of(new Expr.Chars(others), new Expr.Repeat(new Expr.Chars(NameRest), 0, null)));
        return Expr.Any(options);
    }
}
