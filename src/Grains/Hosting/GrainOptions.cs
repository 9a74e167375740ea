namespace Krewe.Grains;

/// <summary>Settings of the grains of one silo.</summary>
public sealed record GrainOptions
{
    /// <summary>This silo's name: the owner of the streams of the requests that run here.</summary>
    public string SiloId { get; init; } = "silo-0";

    /// <summary>
    /// How long the grain of an ended request stays in memory for late reports; its record is in storage. Short, so
    /// that a collection finds it dead before it is moved among what lives long.
    /// </summary>
    public TimeSpan RecordKeep { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>The same of a request that its client may resume: its grain knows which silo has the answer.</summary>
    public TimeSpan AnswerKeep { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>Records of ended requests that one silo keeps in storage; beyond it the oldest is deleted.</summary>
    public int RecordsMax { get; init; } = 10_000;

    /// <summary>Files that one tenant may have, and their bytes together; batches that are remembered.</summary>
    public int FilesMax { get; init; } = 1000;

    /// <inheritdoc cref="FilesMax"/>
    public long FileBytesMax { get; init; } = 2L << 30;

    /// <inheritdoc cref="FilesMax"/>
    public int BatchesMax { get; init; } = 1000;

    /// <summary>
    /// When a first token is due after arrival; routing aims at it, and refuses what it predicts to be late; null =
    /// none.
    /// </summary>
    public TimeSpan? TtftSlo { get; init; }

    /// <summary>The mean time of each further token that is due; null = none.</summary>
    public TimeSpan? TpotSlo { get; init; }
}

/// <summary>Names of the grain storages that a host must provide.</summary>
public static class GrainStorageNames
{
    /// <summary>Records of requests.</summary>
    public const string Requests = "requests";
}
