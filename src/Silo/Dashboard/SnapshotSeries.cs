using Krewe.Abstractions;
using Krewe.Silo.Telemetry;

namespace Krewe.Silo.Dashboard;

/// <summary>What a snapshot has, by name. Rates are a second's; times are milliseconds.</summary>
internal static class SnapshotSeries
{
    /// <summary>Of the whole silo.</summary>
    public static readonly string[] Silo =
    [
        "finished", "good", "failed", "refused", "ttft_p50", "ttft_p95", "itl_p50", "itl_p99", "queued", "inside",
        "prompt_tokens", "output_tokens", "cached_tokens", "migrations",
    ];

    /// <summary>Of each pool; the name in a snapshot has the role and a dot before it.</summary>
    public static readonly string[] Pool =
        ["ready", "running", "waiting", "waiting_tokens", "kv_usage", "prefill_tokens", "decode_tokens", "busy"];

    public static readonly WorkerRole[] Roles = Enum.GetValues<WorkerRole>();

    /// <summary>All of them, in the order of <see cref="Snapshot.Values"/>.</summary>
    public static readonly string[] Names =
    [
        .. Silo, .. Roles.SelectMany(role => Pool.Select(name => $"{SiloGauges.NameOf(role)}.{name}")),
    ];
}
