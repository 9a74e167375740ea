namespace Krewe.Cli.Watching;

/// <summary>What <c>krewe request</c> reads of a request's record; unknown members are ignored.</summary>
internal sealed record RequestLife
{
    public required string Id { get; init; }

    public required string Phase { get; init; }

    public string? Outcome { get; init; }

    public string? FinishReason { get; init; }

    public RequestError? Error { get; init; }

    public required int Epoch { get; init; }

    public required int PromptTokens { get; init; }

    public required int OutputTokens { get; init; }

    public required long Seed { get; init; }

    public required int Migrations { get; init; }

    public required DateTimeOffset ArrivedAt { get; init; }

    public required IReadOnlyList<RequestStep> Steps { get; init; }
}

internal sealed record RequestError(string Message, string? Code);

/// <param name="AtMs">Milliseconds since the gateway took the request in.</param>
internal sealed record RequestStep(int Step, double AtMs, int Epoch, string? Worker, string What);
