namespace Krewe.Control.Access;

/// <summary>What a tenant may use. Null limits are none of its own; the cluster's still hold.</summary>
public sealed record TenantPolicy
{
    /// <summary>The tenant of everybody while no keys are configured.</summary>
    public const string Anonymous = "";

    /// <summary>Priorities reach from minus this to this.</summary>
    public const int PriorityMax = 100;

    public required string Name { get; init; }

    /// <summary>Its share beside others that wait: twice the weight, twice the tokens.</summary>
    public double Weight { get; init; } = 1;

    /// <summary>Higher goes first, always; a client can only lower it for its own requests.</summary>
    public int Priority { get; init; }

    /// <summary>Requests inside at once, waiting ones included.</summary>
    public int? MaxConcurrent { get; init; }

    public int? RequestsPerMinute { get; init; }

    /// <summary>Prompt and output tokens.</summary>
    public int? TokensPerMinute { get; init; }

    /// <summary>Limits of one request: tokens of all its prompts, tokens of one answer, answers.</summary>
    public int? MaxPromptTokens { get; init; }

    /// <inheritdoc cref="MaxPromptTokens"/>
    public int? MaxOutputTokens { get; init; }

    /// <inheritdoc cref="MaxPromptTokens"/>
    public int? MaxChoices { get; init; }

    /// <summary>A request that takes longer ends with deadline_exceeded.</summary>
    public TimeSpan? MaxTime { get; init; }

    /// <summary>
    /// Its prefixes are shared with every tenant that has this set. A hit tells that somebody sent the same prompt
    /// before: only for tenants that trust each other.
    /// </summary>
    public bool SharesPrefixes { get; init; }

    /// <summary>
    /// The prefix cache's partition. Tenants have no colon in their names, and each kind has a prefix of its own: no
    /// client's salt leads into another's partition.
    /// </summary>
    /// <param name="salt">The request's own; "" = none.</param>
    public string PrefixSalt(string salt) => (Name == Anonymous || SharesPrefixes, salt) switch
    {
        (true, "") => "",
        (true, _) => $"salt:{salt}",
        _ => $"tenant:{Name}:{salt}",
    };
}
