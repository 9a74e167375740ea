using System.Collections.Immutable;
using Krewe.Abstractions;

namespace Krewe.Silo.Gateway.Requests;

/// <summary>
/// A client's request, checked: what the cluster computes, and how the gateway makes the answer of it.
/// </summary>
internal sealed record GenerationRequest
{
    public required RequestSpec Spec { get; init; }

    /// <summary>Server-sent events instead of one JSON object.</summary>
    public bool Stream { get; init; }

    /// <summary>A last chunk with the usage.</summary>
    public bool IncludeUsage { get; init; }

    /// <summary>The usage so far on every chunk.</summary>
    public bool ContinuousUsage { get; init; }

    /// <summary>Texts that end the answer; none of them appears in it.</summary>
    public ImmutableArray<string> StopStrings { get; init; } = [];

    /// <summary>Leaves special tokens out of the answer's text.</summary>
    public bool SkipSpecialTokens { get; init; } = true;

    /// <summary>The answer carries the ids of prompt and output tokens.</summary>
    public bool ReturnTokenIds { get; init; }

    /// <summary>The answer continues a text: its first space counts.</summary>
    public bool ContinuesText { get; init; }
}
