namespace Krewe.Models;

/// <summary>A parsed chat template.</summary>
public sealed class ChatTemplate
{
    private readonly string _source;

    private ChatTemplate(string source) => _source = source;

    public static ChatTemplate Parse(string jinja) => new(jinja);

    public string Render(ChatTemplateInput input) =>
        throw new ModelException($"The template of {_source.Length} characters cannot be rendered in this build.");
}
