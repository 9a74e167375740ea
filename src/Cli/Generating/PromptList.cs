using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Krewe.Abstractions;
using Krewe.Models;

namespace Krewe.Cli;

/// <summary>The prompts of <c>krewe generate</c>: texts, chat messages or token ids, each as often as wanted.</summary>
internal sealed class PromptList
{
    private readonly Option<string[]> _texts = Many("--prompt", "TEXT", "A text to continue.");
    private readonly Option<string[]> _chats = Many("--chat", "TEXT", "A user's message, put into the chat template.");

    private readonly Option<int[][]> _ids = new("--prompt-ids")
    {
        Description = "Token ids to continue, taken as they are.",
        HelpName = "1,2,3",
        CustomParser = result => [.. result.Tokens.Select(token => ParseIds(result, token.Value))],
    };

    public void AddTo(Command command)
    {
        foreach (var option in (Option[])[_texts, _chats, _ids]) command.Add(option);
    }

    public bool IsEmpty(ParseResult result) =>
        ((Option[])[_texts, _chats, _ids]).All(option => result.GetResult(option) is null);

    /// <summary>All prompts as token ids, texts first, then chats, then ids.</summary>
    public IReadOnlyList<int[]> Read(ParseResult result, ModelFolder model, TimeProvider time)
    {
        var texts = result.GetValue(_texts) ?? [];
        var chats = result.GetValue(_chats) ?? [];
        int[][] prompts =
        [
            .. texts.Select(text => model.Tokenizer.Encode(text, addSpecialTokens: true)),
            .. chats.Select(text => model.Tokenizer.Encode(Render(model, text, time), addSpecialTokens: false)),
            .. result.GetValue(_ids) ?? [],
        ];
        foreach (var prompt in prompts) Check(prompt, model);
        return prompts;
    }

    private static void Check(int[] prompt, ModelFolder model)
    {
        if (prompt.Length == 0) throw Invalid("A prompt is empty; it needs at least one token.");
        if (prompt.Length >= model.Config.MaxPositions)
        {
            throw Invalid(
                $"A prompt has {prompt.Length} tokens; with at least one token of output it must fit into the "
                + $"{model.Config.MaxPositions} of the model's context.");
        }

        foreach (var id in prompt)
        {
            if (id < 0 || id >= model.Config.VocabularySize)
                throw Invalid($"Token id {id} is not in the vocabulary, 0 to {model.Config.VocabularySize - 1}.");
        }
    }

    private static string Render(ModelFolder model, string text, TimeProvider time)
    {
        var template = model.ChatTemplate
            ?? throw Invalid($"The model {model.Name} has no chat template; use --prompt in place of --chat.");
        return template.Render(new ChatTemplateInput
        {
            Messages = [new ChatMessage("user", text)],
            AddGenerationPrompt = true,
            BosToken = model.BosToken,
            EosToken = model.EosToken,
            Clock = time,
        });
    }

    private static KreweException Invalid(string message) => new(ErrorCode.InvalidOptions, message);

    private static Option<string[]> Many(string name, string helpName, string description) =>
        new(name) { Description = $"{description} May be given several times.", HelpName = helpName };

    private static int[] ParseIds(ArgumentResult result, string text)
    {
        List<int> ids = [];
        foreach (var part in text.Split(','))
        {
            if (int.TryParse(part, NumberStyles.AllowLeadingWhite, CultureInfo.InvariantCulture, out var id))
                ids.Add(id);
            else
                result.AddError($"--prompt-ids has '{part}'; it must be token ids like 1,2,3.");
        }

        return [.. ids];
    }
}
