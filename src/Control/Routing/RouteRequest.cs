using System.Collections.Immutable;
using Krewe.Abstractions;
using Krewe.Control.Kv;

namespace Krewe.Control.Routing;

/// <summary>What needs workers. Mutable, so that a router can reuse one.</summary>
public sealed class RouteRequest
{
    /// <summary>Tokens to compute before the first new one: the prompt, and output so far.</summary>
    public int PrefillTokens { get; set; }

    /// <summary>Tokens of the whole context at its end, at most.</summary>
    public int ContextTokens { get; set; }

    /// <summary>Output tokens that are expected; 0 = nobody knows.</summary>
    public int ExpectedOutputTokens { get; set; }

    /// <summary>The router's clock, microseconds since any fixed moment.</summary>
    public long NowUs { get; set; }

    /// <summary>Time since its arrival, ms.</summary>
    public double WaitedMs { get; set; }

    /// <summary>
    /// When the first token is due after arrival, and the mean time of each further one; infinite = no limit.
    /// </summary>
    public double TtftSloMs { get; set; } = double.PositiveInfinity;

    public double TpotSloMs { get; set; } = double.PositiveInfinity;

    /// <summary>
    /// May be turned away for its SLO: true before it was taken in, false when it goes on after a loss.
    /// </summary>
    public bool MayRefuse { get; set; }

    /// <summary>The prompt's full blocks, chained; empty when the policy does not use them.</summary>
    public ReadOnlyMemory<PrefixHash> Hashes { get; set; }

    /// <summary>Tokens of one hashed block.</summary>
    public int HashBlockTokens { get; set; } = 16;

    /// <summary>What each worker has of the prompt.</summary>
    public PrefixHits Hits { get; } = new();

    /// <summary>Workers that must not be used.</summary>
    public ImmutableArray<WorkerIncarnation> Excluded { get; set; } = [];

    /// <summary>Context when half of the expected output is there: what a decode step pays for on average.</summary>
    public int MeanContextTokens => PrefillTokens + (ExpectedOutputTokens / 2);
}
