namespace Krewe.Models;

/// <summary>The arguments of one call, with the name of the callee for complaints.</summary>
internal sealed class TemplateArguments(
    string callee, TemplateContext context, List<object?> positional, Dictionary<string, object?> named)
{
    public TemplateContext Context => context;

    public string Callee => callee;

    public int Count => positional.Count;

    public IReadOnlyList<object?> Positional => positional;

    public IReadOnlyDictionary<string, object?> Named => named;

    /// <summary>The argument at an index or under a name, or <paramref name="fallback"/>.</summary>
    public object? Get(int index, string name, object? fallback = null) =>
        index < positional.Count ? positional[index] : named.GetValueOrDefault(name, fallback);

    public string Text(int index, string name) => Get(index, name) as string ?? throw Wrong(index, name, "a string");

    public string? OptionalText(int index, string name) => Get(index, name) is { } value
        ? value as string ?? throw Wrong(index, name, "a string")
        : null;

    public long Whole(int index, string name, long fallback) => Get(index, name, fallback) is long value
        ? value
        : throw Wrong(index, name, "an integer");

    /// <summary>Refuses more arguments, or other names, than the callee knows.</summary>
    public void DemandAtMost(int count, params string[] names)
    {
        if (positional.Count > count)
            throw context.Error($"{callee} takes at most {count} arguments, found {positional.Count}");
        foreach (var name in named.Keys)
        {
            if (!names.Contains(name))
                throw context.Error($"{callee} has no argument \"{name}\"");
        }
    }

    private TemplateException Wrong(int index, string name, string expected) =>
        context.Error($"{callee} needs {expected} as \"{name}\", found {TemplateValues.KindOf(Get(index, name))}");
}
