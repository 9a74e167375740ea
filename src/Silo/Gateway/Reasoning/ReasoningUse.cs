using System.Collections.Immutable;
using Krewe.Abstractions;
using Krewe.Silo.Gateway.Requests;
using Krewe.Silo.Hosting;

namespace Krewe.Silo.Gateway.Reasoning;

/// <summary>A model that thinks between tags before it answers (Qwen 3, DeepSeek-R1's distillations): what becomes of
/// it in an answer.</summary>
/// <param name="BeginsInside">The prompt ends within an open tag: the output goes on with thoughts.</param>
/// <param name="IsShown">They are told, in a field of their own.</param>
internal sealed record ReasoningUse(bool BeginsInside, bool IsShown)
{
    public const string Opening = "<think>";

    public const string Closing = "</think>";

    /// <summary>The last tokens of a prompt that tell whether a tag is open: templates end with it and a line break.
    /// </summary>
    private const int TailTokens = 16;

    /// <summary>Whether the model's answers are read for thoughts.</summary>
    public static bool IsOn(ReasoningParser parser, ServedModel model) => parser switch
    {
        ReasoningParser.Think => true,
        ReasoningParser.None => false,
        ReasoningParser.Auto => model.Folder.ChatTemplate?.Mentions(Closing) ?? false,
        _ => throw new ArgumentOutOfRangeException(nameof(parser), parser, "A parser that nobody knows."),
    };

    /// <summary>Null where thoughts are no part of the answer, or stay in its text.</summary>
    /// <param name="root">The body, of chat's fields.</param>
    /// <param name="prompt">Its prompt's tokens.</param>
    /// <param name="beginsFree">The output need not have a form from its first token on.</param>
    /// <param name="model">The model, of answers that are read for thoughts.</param>
    public static ReasoningUse? Read(
        RequestField root, ImmutableArray<int> prompt, bool beginsFree, ServedModel model)
    {
        // SGLang's name; vLLM's.
        var separates = root.Find("separate_reasoning")?.AsBool() ?? true;
        var shows = root.Find("include_reasoning")?.AsBool() ?? true;
        if (!separates || !beginsFree) return null;
        var tail = prompt.AsSpan()[Math.Max(0, prompt.Length - TailTokens)..];
        var text = model.Folder.Tokenizer.Decode(tail, skipSpecialTokens: false).TrimEnd();
        return new ReasoningUse(text.EndsWith(Opening, StringComparison.Ordinal), shows);
    }
}
