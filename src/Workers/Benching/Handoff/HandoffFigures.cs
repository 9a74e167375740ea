namespace Krewe.Workers;

/// <summary>Bytes a second of one transport beside its limit in the same run.</summary>
public sealed record TransportFigures
{
    /// <summary>"tcp" or "shared".</summary>
    public required string Transport { get; init; }

    /// <summary>"raw_socket" or "memcpy".</summary>
    public required string Limit { get; init; }

    public required long Bytes { get; init; }

    public required double BytesPerSecond { get; init; }

    public required double LimitBytesPerSecond { get; init; }

    public double Ratio => BytesPerSecond / LimitBytesPerSecond;

    /// <summary>Connections of the handoff's link: on either side it has as many threads. The limit has one.</summary>
    public required int Connections { get; init; }

    /// <summary>
    /// Median over the rounds of one round's ratio: both were measured right after each other, so that other work on
    /// the machine met both.
    /// </summary>
    public required double MedianRatio { get; init; }

    /// <summary>That of each round, ascending.</summary>
    public required IReadOnlyList<double> RoundRatios { get; init; }

    /// <summary>The median against raw sockets as many as the link has connections; null where it has one.</summary>
    public required double? LanesMedianRatio { get; init; }
}

/// <summary>Time to the first token of one prompt with and without a handoff, best of the repeats.</summary>
public sealed record TtftFigures
{
    public required string Transport { get; init; }

    public required int PromptTokens { get; init; }

    /// <summary>One process does everything.</summary>
    public required double WholeMs { get; init; }

    /// <summary>Prefill in another process; the token is reported by the one that will decode.</summary>
    public required double HandedOffMs { get; init; }

    /// <summary>What the handoff adds, as a share of <see cref="WholeMs"/>.</summary>
    public double Added => (HandedOffMs / WholeMs) - 1;
}
