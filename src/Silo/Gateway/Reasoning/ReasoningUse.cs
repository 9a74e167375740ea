using System.Collections.Immutable;
using Krewe.Abstractions;
using Krewe.Models;
using Krewe.Silo.Gateway.Requests;
using Krewe.Silo.Hosting;

namespace Krewe.Silo.Gateway.Reasoning;

/// <summary>A model that thinks between tags before it answers (Qwen 3, DeepSeek-R1's distillations): what becomes of
/// it in an answer.</summary>
/// <param name="BeginsInside">The prompt ends within an open tag: the output goes on with thoughts.</param>
/// <param name="IsShown">They are told, in a field of their own.</param>
internal sealed record ReasoningUse(bool BeginsInside, bool IsShown)
{
    /// <summary>The output goes on within a thought that has begun: its first white space belongs to it.</summary>
    public bool Continues { get; init; }

    /// <summary>The prompt ends behind a thought: the template told the model not to think.</summary>
    public bool IsForbidden { get; init; }

    /// <summary>The workers know of thoughts, and let no call begin in one.</summary>
    public bool EndsByTagAlone { get; init; }

    /// <summary>A limit of its thoughts; null = there are none.</summary>
    public ThoughtLimit? Limit(int tokensMax) =>
        IsForbidden ? null : new ThoughtLimit(Opening, Closing, BeginsInside, tokensMax);

    /// <summary>What an output of this form is for a model that thinks first.</summary>
    public ConstraintSpec Before(ConstraintSpec form) => new()
    {
        Kind = ConstraintKind.Thought,
        Thought = new ThoughtSpec(Opening, Closing, BeginsInside, form),
        ContinuesText = form.ContinuesText,
    };

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

    /// <param name="root">The body, of chat's fields.</param>
    /// <param name="prompt">Its prompt's tokens.</param>
    /// <param name="model">The model, of answers that are read for thoughts.</param>
    public static ReasoningUse Read(RequestField root, ImmutableArray<int> prompt, ServedModel model)
    {
        var tail = prompt.AsSpan()[Math.Max(0, prompt.Length - TailTokens)..];
        var text = model.Folder.Tokenizer.Decode(tail, skipSpecialTokens: false).TrimEnd();
        return new ReasoningUse(text.EndsWith(Opening, StringComparison.Ordinal), IsShownBy(root))
        {
            IsForbidden = text.EndsWith(Closing, StringComparison.Ordinal),
        };
    }

    /// <summary>Of an output that goes on with the last message: null unless that ends within a thought.</summary>
    /// <param name="root">The body, of chat's fields.</param>
    public static ReasoningUse? ReadContinued(RequestField root)
    {
        var last = root.Required("messages").Items("an array of messages")[^1];
        return ChatPrompt.EndsInThought(last)
            ? new ReasoningUse(BeginsInside: true, IsShownBy(root)) { Continues = true }
            : null;
    }

    /// <summary>Whether thoughts are told apart from the text.</summary>
    public static bool IsToldApart(RequestField root) => root.Find("separate_reasoning")?.AsBool() ?? true; // SGLang's

    private static bool IsShownBy(RequestField root) => root.Find("include_reasoning")?.AsBool() ?? true; // vLLM's
}
