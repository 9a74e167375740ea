namespace Krewe.Control.Admission;

/// <summary>Which of one tenant's requests goes first.</summary>
public enum QueueOrder
{
    /// <summary>First come, first served.</summary>
    Arrival,

    /// <summary>
    /// Least work first, less what it has waited: nobody waits longer than its work, and everybody's, would have taken.
    /// </summary>
    ShortestFirst,

    /// <summary>Least time left until it must have begun to be in time.</summary>
    LeastSlack,
}

/// <summary>How tenants share.</summary>
public enum Fairness
{
    /// <summary>They do not: one line.</summary>
    None,

    /// <summary>Whoever was served the fewest tokens goes first (VTC; Sheng et al., OSDI'24).</summary>
    VirtualTokens,

    /// <summary>In turn, each as many tokens as its quantum allows (Shreedhar and Varghese, 1995).</summary>
    DeficitRoundRobin,
}

/// <summary>One waiting request. Times on one clock, ms.</summary>
public sealed record QueueEntry
{
    public required string RequestId { get; init; }

    /// <summary>"" = the common one.</summary>
    public string Tenant { get; init; } = "";

    /// <summary>Its tenant's: twice the weight, twice the tokens.</summary>
    public double Weight { get; init; } = 1;

    /// <summary>Higher goes first, always.</summary>
    public int Priority { get; init; }

    public required double ArrivedMs { get; init; }

    /// <summary>When its first token is due; infinite = never.</summary>
    public double DueMs { get; init; } = double.PositiveInfinity;

    /// <summary>Predicted time to compute it.</summary>
    public required double WorkMs { get; init; }

    /// <summary>Tokens it is charged for when it leaves the queue: its prompt.</summary>
    public required int Tokens { get; init; }

    /// <summary>
    /// Lower goes first. No key moves with time: both sides of a comparison age alike, so that now falls out of it.
    /// </summary>
    internal double Key(QueueOrder order) => order switch
    {
        QueueOrder.Arrival => ArrivedMs,
        QueueOrder.ShortestFirst => WorkMs + ArrivedMs,
        QueueOrder.LeastSlack => double.IsPositiveInfinity(DueMs) ? double.MaxValue : DueMs - WorkMs,
        _ => throw new ArgumentOutOfRangeException(nameof(order), order, "An order without a key."),
    };
}
