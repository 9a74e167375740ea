using Krewe.Abstractions;
using Krewe.Silo.Streams;

namespace Krewe.Silo.Links;

/// <summary>One part of one attempt that was sent to a worker and is not released yet.</summary>
/// <param name="Key">Which attempt.</param>
/// <param name="Reports">The way to its request's grain.</param>
/// <param name="PrefillTokens">Tokens that this part makes the worker compute before it decodes.</param>
internal sealed record Attempt(SequenceKey Key, RequestReports Reports, long PrefillTokens)
{
    /// <summary>What it is part of.</summary>
    public RequestSpec? Spec { get; init; }

    /// <summary>The worker owns the sequence: it may move from here.</summary>
    public bool IsOwner { get; set; }

    /// <summary>The worker has said something of it, so its next load report counts it.</summary>
    public bool IsKnownToWorker { get; set; }

    /// <summary>A load report of the worker counts it: this silo need not any more.</summary>
    public bool IsInLoadReport { get; set; }
}
