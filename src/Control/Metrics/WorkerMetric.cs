using static Krewe.Control.Metrics.MetricKind;

namespace Krewe.Control.Metrics;

/// <summary>What a worker measures: its engine, its KV pool and tiers, what it moves.</summary>
public static class WorkerMetric
{
    public static MetricInfo Info { get; } = new(
        "krewe_worker_info", Gauge, "1; the labels say what computes.")
    { Labels = ["numerics", "version"] };

    public static MetricInfo SiloLinks { get; } = new("krewe_worker_silo_links", Gauge, "Silos it is linked to.");

    public static MetricInfo Draining { get; } = new("krewe_worker_draining", Gauge, "1 while it takes nothing new.");

    public static MetricInfo Steps { get; } = new("krewe_worker_steps_total", Counter, "Steps of the engine.");

    public static MetricInfo StepTime { get; } = new(
        "krewe_worker_step_seconds", Histogram, "One step: plan to sampled tokens.")
    { Bounds = MetricBounds.Step };

    public static MetricInfo StepRows { get; } = new(
        "krewe_worker_step_rows", Histogram, "Rows of one step: a decode has one, a prefill chunk one a token.")
    { Bounds = MetricBounds.Rows };

    public static MetricInfo Running { get; } = new(
        "krewe_worker_running_sequences", Gauge, "Sequences in the batch.")
    { Alias = "vllm:num_requests_running" };

    public static MetricInfo Waiting { get; } = new(
        "krewe_worker_waiting_sequences", Gauge, "Sequences that wait for a place or for blocks.")
    { Alias = "vllm:num_requests_waiting" };

    public static MetricInfo WaitingTokens { get; } = new(
        "krewe_worker_waiting_tokens", Gauge, "Known tokens that are not computed yet.");

    public static MetricInfo KvBlocks { get; } = new(
        "krewe_worker_kv_blocks", Gauge, "KV blocks by state: free, evictable (prefix cache only), pinned.")
    { Labels = ["state"] };

    public static MetricInfo KvUsage { get; } = new(
        "krewe_worker_kv_usage_ratio", Gauge, "Share of KV blocks that a sequence or a lease holds, 0 to 1.")
    { Alias = "vllm:kv_cache_usage_perc" };

    public static MetricInfo Leases { get; } = new(
        "krewe_worker_leases", Gauge, "Sequences whose blocks wait for a puller or are being pulled.");

    public static MetricInfo PrefillTokens { get; } = new(
        "krewe_worker_prefill_tokens_total", Counter, "Prompt tokens computed, those computed again included.");

    public static MetricInfo DecodeTokens { get; } = new(
        "krewe_worker_decode_tokens_total", Counter, "Tokens decoded.");

    public static MetricInfo PrefixQueries { get; } = new(
        "krewe_worker_prefix_query_tokens_total", Counter, "Tokens of admitted sequences that were looked up.")
    { Alias = "vllm:prefix_cache_queries_total" };

    public static MetricInfo PrefixHits { get; } = new(
        "krewe_worker_prefix_hit_tokens_total", Counter, "Of them, found in the prefix cache.")
    { Alias = "vllm:prefix_cache_hits_total" };

    public static MetricInfo Preemptions { get; } = new(
        "krewe_worker_preemptions_total", Counter, "Running sequences whose blocks were taken away.")
    { Alias = "vllm:num_preemptions_total" };

    public static MetricInfo Failures { get; } = new(
        "krewe_worker_sequences_failed_total", Counter, "Sequences that it gave up or refused, by the error's code.")
    { Labels = ["reason"] };

    public static MetricInfo Handoffs { get; } = new(
        "krewe_worker_handoffs_total", Counter, "Handoffs that it pulled: committed, failed.")
    { Labels = ["outcome"] };

    public static MetricInfo HandoffTime { get; } = new(
        "krewe_worker_handoff_seconds", Histogram, "A handoff at its target: first block asked for to the commit.")
    { Bounds = MetricBounds.Request };

    public static MetricInfo HandoffBytes { get; } = new(
        "krewe_worker_handoff_bytes_total", Counter, "KV pulled by handoffs.");

    public static MetricInfo Migrations { get; } = new(
        "krewe_worker_migrations_total", Counter, "Running sequences that came and went: in, out.")
    { Labels = ["direction"] };

    public static MetricInfo TierBlocks { get; } = new(
        "krewe_worker_tier_blocks", Gauge, "KV blocks in a tier below the pool: host, disk.")
    { Labels = ["tier"] };

    public static MetricInfo TierCapacity { get; } = new(
        "krewe_worker_tier_capacity_blocks", Gauge, "Blocks that the tier has room for.")
    { Labels = ["tier"] };

    public static MetricInfo Spilled { get; } = new(
        "krewe_worker_spilled_blocks_total", Counter, "Blocks copied down before they were evicted.");

    public static MetricInfo Restored { get; } = new(
        "krewe_worker_restored_blocks_total", Counter, "Blocks brought up instead of being computed.");

    public static MetricInfo Bad { get; } = new(
        "krewe_worker_bad_blocks_total", Counter, "Blocks found bad in a tier and computed again.");

    public static MetricInfo Lost { get; } = new(
        "krewe_worker_lost_blocks_total", Counter, "Blocks evicted without a copy below.");

    public static MetricInfo RecomputeChosen { get; } = new(
        "krewe_worker_recompute_chosen_total", Counter, "Admissions for which computing was cheaper than loading.");

    public static MetricInfo Switches { get; } = new(
        "krewe_worker_switches_total", Counter, "Sequences whose blocks were copied down or brought back: out, in.")
    { Labels = ["direction"] };

    public static MetricInfo SwitchCopies { get; } = new(
        "krewe_worker_switch_copies_total", Counter, "Copies of runs of blocks, or disk reads, that took: out, in.")
    { Labels = ["direction"] };

    public static MetricInfo Fetched { get; } = new(
        "krewe_worker_fetched_blocks_total", Counter, "Blocks pulled from other workers' prefix caches.");

    public static IReadOnlyList<MetricInfo> All { get; } =
    [
        Info, SiloLinks, Draining, Steps, StepTime, StepRows, Running, Waiting, WaitingTokens, KvBlocks, KvUsage,
        Leases, PrefillTokens, DecodeTokens, PrefixQueries, PrefixHits, Preemptions, Failures, Handoffs, HandoffTime,
        HandoffBytes, Migrations, TierBlocks, TierCapacity, Spilled, Restored, Bad, Lost, RecomputeChosen,
        Switches, SwitchCopies, Fetched,
        .. ProcessMetric.All,
    ];
}
