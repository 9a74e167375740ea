namespace Krewe.Silo.Gateway.Json;

/// <summary>A request's life, for GET /v1/requests/{id}. Holds no prompt text and no tokens.</summary>
internal sealed record RequestObject
{
    public required string Id { get; init; }

    public string Object { get; } = "request";

    public required string Model { get; init; }

    /// <summary>Phase of the request machine, by name.</summary>
    public required string Phase { get; init; }

    /// <summary>finished, failed or cancelled; null while it runs.</summary>
    public string? Outcome { get; init; }

    public string? FinishReason { get; init; }

    public ErrorDetail? Error { get; init; }

    /// <summary>Attempts so far.</summary>
    public required int Epoch { get; init; }

    public required int PromptTokens { get; init; }

    public required int OutputTokens { get; init; }

    public required long Seed { get; init; }

    public PlanObject? Plan { get; init; }

    public required long BlocksMoved { get; init; }

    public required long BytesMoved { get; init; }

    /// <summary>How often the running sequence moved to another worker.</summary>
    public required int Migrations { get; init; }

    public required DateTimeOffset ArrivedAt { get; init; }

    public required IReadOnlyList<StepObject> Steps { get; init; }
}

internal sealed record PlanObject(string PrefillWorker, string DecodeWorker, int PrefixHitTokens, string Reason);

/// <param name="Step">Of the nine in docs/ARCHITECTURE.md.</param>
/// <param name="AtMs">Milliseconds since the gateway took the request in.</param>
internal sealed record StepObject(int Step, double AtMs, int Epoch, string? Worker, string What);
