using System.Text.Json;

namespace Krewe.Models;

/// <summary>Everything that a chat template can read.</summary>
public sealed record ChatTemplateInput
{
    public required IReadOnlyList<ChatMessage> Messages { get; init; }

    /// <summary>End with the opening of an assistant message.</summary>
    public bool AddGenerationPrompt { get; init; } = true;

    /// <summary>OpenAI's <c>tools</c> array.</summary>
    public JsonElement? Tools { get; init; }

    /// <summary>Further variables (<c>chat_template_kwargs</c>, for example <c>enable_thinking</c>). They win over the
    /// built-in ones.</summary>
    public IReadOnlyDictionary<string, JsonElement>? Arguments { get; init; }

    public string? BosToken { get; init; }

    public string? EosToken { get; init; }

    /// <summary>What <c>strftime_now</c> reads, in UTC so that every gateway renders the same text.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;
}
