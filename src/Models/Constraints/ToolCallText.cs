namespace Krewe.Models;

/// <summary>
/// How calls stand in an output: always these very characters round a function's name and its arguments, so that
/// reading them needs no guess.
/// </summary>
/// <param name="Opening">What tells a call from other text: where it stands, a call follows.</param>
/// <param name="BeforeName">Between the opening and the name.</param>
/// <param name="BeforeArguments">Between the name and the arguments, which are a JSON object.</param>
/// <param name="Closing">Behind the arguments.</param>
/// <param name="Separator">Between two calls.</param>
/// <param name="OnlyAtStart">The opening counts only where the output begins.</param>
public sealed record ToolCallText(
    string Opening, string BeforeName, string BeforeArguments, string Closing, string Separator, bool OnlyAtStart)
{
    private static readonly ToolCallText Tagged = new(
        "<tool_call>", "\n{\"name\": \"", "\", \"arguments\": ", "}\n</tool_call>", "\n", OnlyAtStart: false);

    private static readonly ToolCallText Bare = new(
        "{\"name\": \"", "", "\", \"parameters\": ", "}", "; ", OnlyAtStart: true);

    public static ToolCallText Of(ToolStyle style) => style switch
    {
        ToolStyle.Tagged => Tagged,
        ToolStyle.Bare => Bare,
        _ => throw new ArgumentOutOfRangeException(nameof(style), style, "A style without a text."),
    };

    /// <summary>The style of the model whose chat template this is.</summary>
    public static ToolStyle StyleOf(ChatTemplate? template) =>
        template is not null && template.Mentions("\"parameters\"") && !template.Mentions("<tool_call>")
            ? ToolStyle.Bare
            : ToolStyle.Tagged;
}
