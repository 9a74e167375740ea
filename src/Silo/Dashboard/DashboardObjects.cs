using System.Text.Json.Serialization;
using Krewe.Silo.Gateway.Json;

namespace Krewe.Silo.Dashboard;

/// <summary>Snapshots column by column, as charts want them.</summary>
/// <param name="Time">Milliseconds since 1970, UTC.</param>
/// <param name="Series">A value for each time, by the series' name.</param>
internal sealed record HistoryObject(long[] Time, IReadOnlyDictionary<string, double?[]> Series);

/// <summary>This silo and the workers that it sees, now.</summary>
internal sealed record StateObject
{
    public required DateTimeOffset At { get; init; }

    public required string SiloId { get; init; }

    public required string Version { get; init; }

    public required string GrainHost { get; init; }

    public required string Model { get; init; }

    public required string Policy { get; init; }

    /// <summary>Seconds since the start.</summary>
    public required double UptimeSeconds { get; init; }

    public required bool Draining { get; init; }

    /// <summary>Null = none is set, and every finished request is a good one.</summary>
    public double? TtftSloMs { get; init; }

    public double? TpotSloMs { get; init; }

    public required int Inside { get; init; }

    public required int Queued { get; init; }

    public required long MemoryBytes { get; init; }

    public required double CpuSeconds { get; init; }

    /// <summary>Path of Orleans' own dashboard; null where it is not mapped.</summary>
    public string? OrleansDashboard { get; init; }

    public required IReadOnlyList<DashboardWorker> Workers { get; init; }
}

/// <summary>One worker, with what an operator wants of it.</summary>
/// <param name="Wish">serve, cordon or drain.</param>
/// <param name="Worker">As GET /v1/cluster tells it.</param>
internal sealed record DashboardWorker(string Wish, WorkerObject Worker)
{
    public required string Model { get; init; }

    public required int BlockTokens { get; init; }
}

internal sealed record RequestRow
{
    public required string Id { get; init; }

    /// <summary>chat, text, response or message.</summary>
    public required string Kind { get; init; }

    public required DateTimeOffset ArrivedAt { get; init; }

    /// <summary>Null while it runs.</summary>
    public double? DurationMs { get; init; }

    /// <summary>running, finished, failed, cancelled, refused or invalid.</summary>
    public required string State { get; init; }

    /// <summary>The error's code; null without one.</summary>
    public string? Code { get; init; }

    public required int PromptTokens { get; init; }

    public required int OutputTokens { get; init; }

    public required int Sequences { get; init; }

    public required bool Stream { get; init; }

    public double? TtftMs { get; init; }

    public double? TpotMs { get; init; }
}

internal sealed record RequestList(IReadOnlyList<RequestRow> Data);

/// <summary>One sequence's life: its record and the stretches made of it.</summary>
internal sealed record TimelineObject(RequestObject Request, IReadOnlyList<TimelineSegment> Segments, double NowMs);

internal sealed record GrainsObject
{
    public required string GrainHost { get; init; }

    /// <summary>By grain type, over all silos.</summary>
    public required IReadOnlyDictionary<string, int> Activations { get; init; }

    /// <summary>Calls that this silo's grains have answered.</summary>
    public required IReadOnlyList<GrainMethodRow> Methods { get; init; }
}

internal sealed record GrainMethodRow(string Grain, string Method, long Calls, long Errors, double MeanMs);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(HistoryObject))]
[JsonSerializable(typeof(StateObject))]
[JsonSerializable(typeof(RequestList))]
[JsonSerializable(typeof(TimelineObject))]
[JsonSerializable(typeof(GrainsObject))]
internal sealed partial class DashboardJson : JsonSerializerContext;
