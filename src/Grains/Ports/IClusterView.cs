using System.Collections.Immutable;
using Krewe.Abstractions;

namespace Krewe.Grains;

/// <summary>
/// One linked worker as this silo sees it now: the hello, the newest load report, and what was dispatched since.
/// </summary>
public sealed record WorkerView
{
    public required WorkerDescriptor Descriptor { get; init; }

    public required WorkerState State { get; init; }

    /// <summary>Blocks that no sequence and no lease holds (free or evictable), by the newest report.</summary>
    public required int AvailableBlocks { get; init; }

    public required int RunningSequences { get; init; }

    public required int WaitingSequences { get; init; }

    /// <summary>Prompt tokens the worker has yet to compute.</summary>
    public required long WaitingTokens { get; init; }

    /// <summary>Sequences and prompt tokens that this silo dispatched after the newest report was made.</summary>
    public required int DispatchedSequences { get; init; }

    public required long DispatchedTokens { get; init; }

    /// <summary>Since the worker's start, by the newest report.</summary>
    public ulong Steps { get; init; }

    /// <inheritdoc cref="Steps"/>
    public ulong PrefillTokens { get; init; }

    /// <inheritdoc cref="Steps"/>
    public ulong DecodeTokens { get; init; }

    /// <summary>Moving average of a step's time.</summary>
    public float StepMs { get; init; }
}

/// <summary>
/// This silo's own view of the workers: bounded, local, read without a call. Implemented by the silo's links.
/// </summary>
public interface IClusterView
{
    /// <summary>In the order of the workers' ids.</summary>
    ImmutableArray<WorkerView> Workers { get; }

    /// <summary>Completes when the set of ready workers may have changed since this call.</summary>
    Task WhenWorkersChangedAsync(CancellationToken cancellationToken);
}
