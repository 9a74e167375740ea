using System.Collections.Immutable;
using Krewe.Silo.Hosting;

namespace Krewe.Silo.Gateway.Requests;

/// <summary>truncate_prompt_tokens and truncation_side: keeps one end of a prompt that is too long.</summary>
internal static class PromptCut
{
    public static ImmutableArray<int> Read(RequestField root, ImmutableArray<int> prompt, ServedModel model)
    {
        var side = root.Find("truncation_side");
        var keepsEnd = side?.AsString() switch
        {
            null or "left" => true,
            "right" => false,
            _ => throw side.Value.Wrong("\"left\" or \"right\""),
        };
        if (root.Find("truncate_prompt_tokens") is not { } field) return prompt;
        // One place is left for the first output token.
        var most = model.MaxContextTokens - 1;
        var tokens = field.AsInt(-1, most);
        if (tokens == 0) throw field.Wrong("-1 (as many as the model takes) or at least 1");
        if (tokens < 0) tokens = most;
        if (prompt.Length <= tokens) return prompt;
        return keepsEnd ? prompt[^tokens..] : prompt[..tokens];
    }
}
