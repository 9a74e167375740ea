namespace Krewe.Cli;

/// <summary>One request that a load generator sends.</summary>
/// <param name="At">When it is due, since the run's start.</param>
/// <param name="Prompt">Token ids.</param>
/// <param name="Key">API key; null = none.</param>
/// <param name="Id">Its name at the server; null = the server's choice.</param>
internal sealed record LoadRequest(
    TimeSpan At, int[] Prompt, int OutputTokens, string? Key = null, string? Id = null);

/// <summary>What became of it. Times since the run's start.</summary>
/// <param name="SentAt">When it was sent; later than due when the sender was held up.</param>
/// <param name="FirstTokenAt">Null = none came.</param>
/// <param name="Tokens">That came.</param>
/// <param name="Status">HTTP status; 0 = no answer.</param>
/// <param name="Error">Null = whole answer.</param>
internal sealed record LoadOutcome(
    LoadRequest Request, TimeSpan SentAt, TimeSpan? FirstTokenAt, TimeSpan EndedAt, int Tokens, int Status,
    string? Error)
{
    public bool IsWhole => Error is null;

    /// <summary>
    /// Time to first token, ms, from when the request was due: a sender that is late is the server's fault, or the
    /// waiting of those behind a stall would not count (coordinated omission).
    /// </summary>
    public double? TtftMs => (FirstTokenAt - Request.At)?.TotalMilliseconds;

    /// <summary>Mean time of each further token, ms; null with fewer than two.</summary>
    public double? TpotMs => FirstTokenAt is { } first && Tokens > 1
        ? (EndedAt - first).TotalMilliseconds / (Tokens - 1)
        : null;

    /// <summary>From due to the end, ms.</summary>
    public double LatencyMs => (EndedAt - Request.At).TotalMilliseconds;
}
