using Krewe.Abstractions;

namespace Krewe.Workers;

/// <summary>What <c>krewe bench handoff</c> measures with.</summary>
public sealed record HandoffBenchSettings
{
    /// <summary>Null: no model, and blocks of <see cref="Geometry"/> with arbitrary content.</summary>
    public string? ModelDirectory { get; init; }

    /// <summary>Without a model: the KV of Llama 3 8B, 2 MiB a block.</summary>
    public KvGeometry Geometry { get; init; } = new(32, 8, 128, 16, KvFormat.BF16);

    /// <summary>Compute threads of each of the two processes.</summary>
    public int Threads { get; init; } = 1;

    public int PromptTokens { get; init; } = 2000;

    public int StepTokens { get; init; } = 512;

    /// <summary>Handoffs of each kind; the best counts, beside the best of as many runs of its limit.</summary>
    public int Repeats { get; init; } = 5;

    /// <summary>Connections of a TCP data link.</summary>
    public int Connections { get; init; } = WorkerOptions.DataConnectionsUsual;

    /// <summary>KV of one request.</summary>
    internal long RequestBytes => (long)Geometry.BlocksFor(PromptTokens) * Geometry.BlockBytes;

    /// <summary>Room for two requests: one may not have been given back when the next begins.</summary>
    internal long KvMemoryBytes => 2 * (RequestBytes + Geometry.BlockBytes);
}
