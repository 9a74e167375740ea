namespace Krewe.Models;

/// <summary>The filters that take another filter or test by name: map, select, reject, selectattr,
/// rejectattr.</summary>
internal static class TemplateSelections
{
    public static object? Map(object? value, TemplateArguments arguments)
    {
        var context = arguments.Context;
        if (arguments.Named.TryGetValue("attribute", out var attribute))
        {
            var path = attribute as string ?? throw context.Error("map needs a string as \"attribute\"");
            return TemplateFilters.Items(value, context).Select(item => Follow(context, item, path)).ToList();
        }

        var name = arguments.Text(0, "filter");
        var filter = TemplateFilters.Find(name) ?? throw context.Error($"map: there is no filter \"{name}\"");
        var rest = Rest(arguments, name, 1);
        return TemplateFilters.Items(value, context).Select(item =>
        {
            context.Step();
            return filter(item, rest);
        }).ToList();
    }

    public static object? Select(object? value, TemplateArguments arguments, bool byAttribute, bool wanted)
    {
        var context = arguments.Context;
        var path = byAttribute ? arguments.Text(0, "attribute") : null;
        var nameAt = byAttribute ? 1 : 0;
        var name = arguments.OptionalText(nameAt, "test");
        var test = name is null
            ? (item, _) => TemplateValues.IsTrue(item)
            : TemplateTests.Find(name) ?? throw context.Error($"{arguments.Callee}: there is no test \"{name}\"");
        var rest = Rest(arguments, name ?? arguments.Callee, nameAt + 1);
        return TemplateFilters.Items(value, context).Where(item =>
        {
            context.Step();
            return test(path is null ? item : Follow(context, item, path), rest) == wanted;
        }).ToList();
    }

    private static object? Follow(TemplateContext context, object? item, string path)
    {
        context.Step();
        return path.Split('.').Aggregate(item, (current, name) => TemplateAttributes.Index(context, current, name));
    }

    private static TemplateArguments Rest(TemplateArguments arguments, string callee, int skipped) =>
        new(callee, arguments.Context, [.. arguments.Positional.Skip(skipped)], []);
}
