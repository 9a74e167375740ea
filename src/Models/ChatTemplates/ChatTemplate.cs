using System.Text.Json;

namespace Krewe.Models;

/// <summary>
/// A chat template: the subset of Jinja that the templates of Llama 3, Qwen 2.5 and 3, and Mistral use, with the
/// settings and functions that Hugging Face gives them. Parsed once, rendered from any thread; each rendering has a
/// budget of steps and characters.
/// </summary>
public sealed class ChatTemplate
{
    private readonly List<TemplateStatement> _body;
    private readonly string _source;

    private ChatTemplate(List<TemplateStatement> body, string source) => (_body, _source) = (body, source);

    /// <summary>Reads a template.</summary>
    /// <exception cref="ModelException">A syntax error, or a tag, filter or test that is not supported; the message has
    /// the line.</exception>
    public static ChatTemplate Parse(string jinja)
    {
        ArgumentNullException.ThrowIfNull(jinja);
        return new ChatTemplate(TemplateParser.Parse(jinja), jinja);
    }

    /// <summary>Whether the template's own text has this in it.</summary>
    public bool Mentions(string text) => _source.Contains(text, StringComparison.Ordinal);

    /// <summary>The prompt's text, special tokens spelled out.</summary>
    /// <exception cref="TemplateException">The template refuses the conversation, or cannot go on.</exception>
    public string Render(ChatTemplateInput input)
    {
        ArgumentNullException.ThrowIfNull(input);
        var context = new TemplateContext(Variables(input), input.Clock);
        try
        {
            TemplateStatement.RunAll(_body, context);
        }
        catch (InsufficientExecutionStackException e)
        {
            throw new TemplateException(context.Error("values or expressions are nested too deep").Message, e);
        }

        return context.Output.ToString();
    }

    private static Dictionary<string, object?> Variables(ChatTemplateInput input)
    {
        try
        {
            return Collect(input);
        }
        catch (InvalidOperationException e)
        {
            // The JSON parser lets escapes like \ud800 pass and fails when the text is read.
            throw new TemplateException(
                "The tools, tool calls or template arguments hold text that is not valid Unicode.", e);
        }
    }

    private static Dictionary<string, object?> Collect(ChatTemplateInput input)
    {
        var variables = new Dictionary<string, object?>(StringComparer.Ordinal)
        {
            ["messages"] = input.Messages.Select(ToValue).ToList(),
            ["add_generation_prompt"] = input.AddGenerationPrompt,
            // Defined and None where absent: templates ask both "is defined" and "is not none".
            ["tools"] = input.Tools is { } tools ? TemplateValues.FromJson(tools) : null,
            ["documents"] = null,
        };
        if (input.BosToken is not null)
            variables["bos_token"] = input.BosToken;
        if (input.EosToken is not null)
            variables["eos_token"] = input.EosToken;
        foreach (var (name, value) in input.Arguments ?? new Dictionary<string, JsonElement>())
            variables[name] = TemplateValues.FromJson(value);
        return variables;
    }

    private static object? ToValue(ChatMessage message)
    {
        var map = new TemplateMap { ["role"] = message.Role, ["content"] = message.Content };
        if (message.ToolCalls is { ValueKind: JsonValueKind.Array } calls)
            map["tool_calls"] = calls.EnumerateArray().Select(ToToolCall).ToList();
        if (message.ToolCallId is not null)
            map["tool_call_id"] = message.ToolCallId;
        if (message.Name is not null)
            map["name"] = message.Name;
        if (message.Reasoning is not null)
            map["reasoning_content"] = message.Reasoning;
        return map;
    }

    /// <summary>OpenAI spells the arguments as a string of JSON; templates want the object.</summary>
    private static object? ToToolCall(JsonElement call)
    {
        var value = TemplateValues.FromJson(call);
        if (value is TemplateMap map && map.GetValueOrDefault("function") is TemplateMap function
            && function.GetValueOrDefault("arguments") is string text && TryParseObject(text) is { } arguments)
            function["arguments"] = arguments;
        return value;
    }

    private static object? TryParseObject(string text)
    {
        try
        {
            using var document = JsonDocument.Parse(text);
            return document.RootElement.ValueKind == JsonValueKind.Object
                ? TemplateValues.FromJson(document.RootElement)
                : null;
        }
        catch (JsonException)
        {
            // Not JSON: a model may have written anything; the template gets the string as it is.
            return null;
        }
    }
}
