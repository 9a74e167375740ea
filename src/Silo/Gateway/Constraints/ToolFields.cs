using System.Text.Json;
using System.Text.RegularExpressions;
using Krewe.Abstractions;
using Krewe.Models;
using Krewe.Silo.Gateway.Requests;

namespace Krewe.Silo.Gateway.Constraints;

/// <summary>The functions of a request, and which of them may or must be called.</summary>
/// <param name="Spec">What the output must look like; its answer is not set yet.</param>
/// <param name="Places">Index in the request's tools of each function.</param>
/// <param name="Shown">The tools that the model is told of, as they were sent.</param>
/// <param name="IsNamed">The client named the one function.</param>
internal sealed record ToolUse(ToolSpec Spec, int[] Places, JsonElement Shown, bool IsNamed);

/// <summary>tools, tool_choice and parallel_tool_calls.</summary>
internal static partial class ToolFields
{
    private const string Choice = "tool_choice";
    private const string ChoiceExpected =
        "\"none\", \"auto\", \"required\" or {\"type\": \"function\", \"function\": {\"name\": ...}}";

    /// <summary>Null when nothing is to be called. Throws <see cref="KreweException"/> that names what is wrong.
    /// </summary>
    public static ToolUse? Read(RequestField root, ChatTemplate? template)
    {
        var several = root.Find("parallel_tool_calls")?.AsBool() ?? true;
        var choice = root.Find(Choice);
        if (root.Find("tools") is not { } field)
        {
            if (choice is null || IsWord(choice.Value, "none") || IsWord(choice.Value, "auto")) return null;
            throw new KreweException(
                ErrorCode.InvalidRequest, $"When using '{Choice}', 'tools' must be set.", Choice);
        }

        var items = field.Items("an array of tools");
        if (items.Length == 0) throw field.Wrong("an array of at least one tool");
        ToolFunction[] functions = [.. items.Select(ReadFunction)];
        if (functions.GroupBy(function => function.Name).FirstOrDefault(group => group.Count() > 1) is { } twice)
        {
            throw new KreweException(
                ErrorCode.InvalidRequest, $"'tools' has the function '{twice.Key}' twice.", "tools");
        }

        var (mode, names) = ReadChoice(choice);
        foreach (var (name, path) in names ?? [])
        {
            if (Array.Exists(functions, function => function.Name == name)) continue;
            throw new KreweException(ErrorCode.InvalidRequest, $"'{path}' is no function of 'tools'.", path);
        }

        if (mode == Mode.None) return null;
        int[] places = [.. Enumerable.Range(0, functions.Length).Where(i =>
            names is null || names.Exists(named => named.Name == functions[i].Name))];
        var spec = new ToolSpec(
            [.. places.Select(place => functions[place])], ToolCallText.StyleOf(template), mode == Mode.Auto,
            several && mode != Mode.Named, Answer: null);
        return new ToolUse(spec, places, field.Value.Clone(), mode == Mode.Named);
    }

    private static ToolFunction ReadFunction(RequestField tool)
    {
        var type = tool.DemandObject().Required("type");
        if (type.AsString() != "function")
        {
            throw new KreweException(
                ErrorCode.UnsupportedParameter,
                $"'{type.Path}' is \"{type.AsString()}\"; only tools of the type function can be called.", type.Path);
        }

        var function = tool.Required("function").DemandObject();
        var name = function.Required("name");
        if (!NamePattern().IsMatch(name.AsString()))
            throw name.Wrong("1 to 128 letters, digits, underscores, dots and dashes");
        function.Find("description")?.AsString();
        function.Find("strict")?.AsBool();
        return new ToolFunction(name.AsString(), function.Find("parameters")?.DemandObject().Value.GetRawText());
    }

    private static (Mode Mode, List<(string Name, string Path)>? Names) ReadChoice(RequestField? field)
    {
        if (field is not { } choice) return (Mode.Auto, null);
        if (choice.Value.ValueKind == JsonValueKind.String) return (ReadMode(choice), null);
        if (choice.Value.ValueKind != JsonValueKind.Object) throw choice.Wrong(ChoiceExpected);
        switch (choice.Find("type")?.AsString())
        {
            case "function":
                var name = choice.Required("function").Required("name");
                return (Mode.Named, [(name.AsString(), name.Path)]);
            case "allowed_tools":
                var allowed = choice.Find("allowed_tools") ?? choice;
                var names = allowed.Required("tools").Items("an array of tools").Select(tool =>
                {
                    var named = (tool.Find("function") ?? tool).Required("name");
                    return (named.AsString(), named.Path);
                });
                return (ReadMode(allowed.Required("mode")), [.. names]);
            default: throw choice.Wrong(ChoiceExpected);
        }
    }

    private static Mode ReadMode(RequestField field) => field.AsString() switch
    {
        "none" => Mode.None,
        "auto" => Mode.Auto,
        "required" => Mode.Required,
        _ => throw field.Wrong(ChoiceExpected),
    };

    private static bool IsWord(RequestField field, string word) =>
        field.Value.ValueKind == JsonValueKind.String && field.Value.ValueEquals(word);

    private enum Mode
    {
        None,
        Auto,
        Required,
        Named,
    }

    [GeneratedRegex("^[A-Za-z0-9_.-]{1,128}$")]
    private static partial Regex NamePattern();
}
