using System.Collections.Immutable;
using Orleans;

namespace Krewe.Abstractions;

/// <summary>What an operator, or a controller, wants of a worker.</summary>
public enum WorkerWish
{
    /// <summary>Takes work. The default.</summary>
    Serve,

    /// <summary>Takes nothing new; what runs there stays.</summary>
    Cordon,

    /// <summary>Takes nothing new; what runs there moves to other workers.</summary>
    Drain,
}

/// <summary>A worker as one silo sees it. Blocks are KV blocks of its pool.</summary>
[GenerateSerializer, Immutable]
public sealed record PoolWorker
{
    [Id(0)] public required WorkerIncarnation Worker { get; init; }

    [Id(1)] public required WorkerRole Role { get; init; }

    [Id(2)] public required WorkerState State { get; init; }

    [Id(3)] public required string Numerics { get; init; }

    [Id(4)] public required int TotalBlocks { get; init; }

    [Id(5)] public required int UsedBlocks { get; init; }

    [Id(6)] public required int RunningSequences { get; init; }

    /// <summary>Blocks that the first queued sequence wants and the pool does not have.</summary>
    [Id(7)] public int HeadOfLineBlocks { get; init; }

    /// <summary>Migrations under way there, either direction.</summary>
    [Id(8)] public int Migrations { get; init; }

    /// <summary>What is left of its grace, when it is being stopped; null otherwise.</summary>
    [Id(9)] public TimeSpan? DrainLeft { get; init; }

    /// <summary>Moving average of a step.</summary>
    [Id(10)] public TimeSpan StepTime { get; init; }
}

/// <summary>A running sequence that one silo owns.</summary>
[GenerateSerializer, Immutable]
public sealed record PoolSequence
{
    /// <summary>Key of its request's grain.</summary>
    [Id(0)] public required string Key { get; init; }

    [Id(1)] public required WorkerIncarnation Worker { get; init; }

    [Id(2)] public required int Blocks { get; init; }

    [Id(3)] public required int Priority { get; init; }

    /// <summary>Output tokens that it may still have.</summary>
    [Id(4)] public required int TokensLeft { get; init; }

    /// <summary>Its worker has said that it decodes: its KV is there whole.</summary>
    [Id(5)] public bool IsDecoding { get; init; }
}

/// <summary>One silo's view, told now and then.</summary>
[GenerateSerializer, Immutable]
public sealed record PoolReport(
    [property: Id(0)] string SiloId,
    [property: Id(1)] ImmutableArray<PoolWorker> Workers,
    [property: Id(2)] ImmutableArray<PoolSequence> Sequences);

/// <summary>What a silo is to do with a sequence that it owns.</summary>
/// <param name="Key">Key of its request's grain.</param>
/// <param name="Source">Where it runs.</param>
/// <param name="Target">Where it moves to; null = leave the source at once and compute it again elsewhere.</param>
/// <param name="Reason">In words an operator can read.</param>
[GenerateSerializer, Immutable]
public sealed record PoolOrder(
    [property: Id(0)] string Key,
    [property: Id(1)] WorkerIncarnation Source,
    [property: Id(2)] WorkerIncarnation? Target,
    [property: Id(3)] string Reason);

/// <summary>What the pool answers to a report.</summary>
/// <param name="Orders">For sequences of the silo that reported.</param>
/// <param name="Wishes">Every worker that is not simply to serve.</param>
/// <param name="Life">Another number than before: the grain was made anew, and knows only what it is told.</param>
[GenerateSerializer, Immutable]
public sealed record PoolAnswer(
    [property: Id(0)] ImmutableArray<PoolOrder> Orders,
    [property: Id(1)] ImmutableDictionary<string, WorkerWish> Wishes,
    [property: Id(2)] long Life = 0);

/// <summary>
/// One per model: pairs workers that should give sequences away with those that should take them. Key = model name.
/// Soft state: whoever activates it anew learns everything from the next reports, but wishes are told again by whoever
/// has them.
/// </summary>
public interface IPoolGrain : IGrainWithStringKey
{
    /// <summary>Takes a silo's view and gives orders for the sequences it owns.</summary>
    Task<PoolAnswer> ExchangeAsync(PoolReport report);

    /// <summary>What is wanted of a worker from now on.</summary>
    Task SetWishAsync(string workerId, WorkerWish wish);
}
