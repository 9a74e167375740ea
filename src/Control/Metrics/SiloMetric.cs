using static Krewe.Control.Metrics.MetricKind;

namespace Krewe.Control.Metrics;

/// <summary>What a silo measures: requests as their clients see them, its view of the workers, its grains.</summary>
public static class SiloMetric
{
    public static MetricInfo Build { get; } = new(
        "krewe_build_info", Gauge, "1; the labels say what runs.")
    { Labels = ["version", "grain_host"] };

    public static MetricInfo Requests { get; } = new(
        "krewe_requests_total", Counter,
        "Requests that have ended, by endpoint and outcome: finished, failed, cancelled, refused, invalid.")
    { Labels = ["kind", "outcome"] };

    public static MetricInfo GoodRequests { get; } = new(
        "krewe_requests_good_total", Counter,
        "Finished requests that met every SLO that is set; without SLOs every finished one. Its rate is the goodput.");

    public static MetricInfo SloMissed { get; } = new(
        "krewe_requests_slo_missed_total", Counter, "Finished requests that missed an SLO: ttft or tpot.")
    { Labels = ["slo"] };

    public static MetricInfo Refusals { get; } = new(
        "krewe_refusals_total", Counter, "Requests refused at the door, by the code of the error.")
    { Labels = ["reason"] };

    public static MetricInfo Successes { get; } = new(
        "vllm:request_success_total", Counter, "Finished answers, by the reason of their end.")
    { Labels = ["finished_reason"] };

    public static MetricInfo Inside { get; } = new(
        "krewe_requests_inside", Gauge, "Requests that were let in and have not left.");

    public static MetricInfo Queued { get; } = new(
        "krewe_requests_queued", Gauge, "Requests inside that have no token yet: the queue as clients feel it.");

    public static MetricInfo Duration { get; } = new(
        "krewe_request_duration_seconds", Histogram, "Arrival to the last byte of the answer, of finished requests.")
    {
        Bounds = MetricBounds.Request,
        Alias = "vllm:e2e_request_latency_seconds",
        GenAi = "gen_ai.server.request.duration",
    };

    public static MetricInfo Ttft { get; } = new(
        "krewe_time_to_first_token_seconds", Histogram, "Arrival at the gateway to the first output token there.")
    {
        Bounds = MetricBounds.Request,
        Alias = "vllm:time_to_first_token_seconds",
        GenAi = "gen_ai.server.time_to_first_token",
    };

    public static MetricInfo Itl { get; } = new(
        "krewe_inter_token_latency_seconds", Histogram, "One gap between two output tokens at the gateway.")
    { Bounds = MetricBounds.Step, Alias = "vllm:inter_token_latency_seconds" };

    public static MetricInfo Tpot { get; } = new(
        "krewe_time_per_output_token_seconds", Histogram,
        "Mean time of a further output token, one value a finished request.")
    {
        Bounds = MetricBounds.Step,
        Alias = "vllm:request_time_per_output_token_seconds",
        GenAi = "gen_ai.server.time_per_output_token",
    };

    public static MetricInfo QueueTime { get; } = new(
        "krewe_queue_seconds", Histogram, "Arrival to the start of prefill.")
    { Bounds = MetricBounds.Request, Alias = "vllm:request_queue_time_seconds" };

    public static MetricInfo PrefillTime { get; } = new(
        "krewe_prefill_seconds", Histogram, "Start of prefill to its end.")
    { Bounds = MetricBounds.Request, Alias = "vllm:request_prefill_time_seconds" };

    public static MetricInfo HandoffTime { get; } = new(
        "krewe_handoff_seconds", Histogram,
        "End of prefill to the decode worker's commit: what disaggregation adds to a request.")
    { Bounds = MetricBounds.Request };

    public static MetricInfo DecodeTime { get; } = new(
        "krewe_decode_seconds", Histogram, "Start of decode to the last token.")
    { Bounds = MetricBounds.Request, Alias = "vllm:request_decode_time_seconds" };

    public static MetricInfo RequestPrompt { get; } = new(
        "krewe_request_prompt_tokens", Histogram, "Prompt tokens of a request.")
    { Bounds = MetricBounds.Tokens, Alias = "vllm:request_prompt_tokens" };

    public static MetricInfo RequestOutput { get; } = new(
        "krewe_request_output_tokens", Histogram, "Output tokens of a request that has ended.")
    { Bounds = MetricBounds.Tokens, Alias = "vllm:request_generation_tokens" };

    public static MetricInfo PromptTokens { get; } = new(
        "krewe_prompt_tokens_total", Counter, "Prompt tokens of requests whose prefill has started.")
    { Alias = "vllm:prompt_tokens_total" };

    public static MetricInfo OutputTokens { get; } = new(
        "krewe_output_tokens_total", Counter, "Output tokens that reached the gateway, each counted once.")
    { Alias = "vllm:generation_tokens_total" };

    public static MetricInfo CachedTokens { get; } = new(
        "krewe_cached_prompt_tokens_total", Counter,
        "Prompt tokens found in a prefix cache instead of being computed.");

    public static MetricInfo StreamTokens { get; } = new(
        "krewe_stream_tokens_total", Counter,
        "What became of tokens from workers: accepted, duplicate, stale, early, late; contradicting must stay 0.")
    { Labels = ["fate"] };

    public static MetricInfo FailedAttempts { get; } = new(
        "krewe_attempts_failed_total", Counter,
        "Attempts given up, by the code of the error; another may have followed.")
    { Labels = ["reason"] };

    public static MetricInfo Migrations { get; } = new(
        "krewe_migrations_total", Counter,
        "Live migrations of running sequences, by how they ended: committed, aborted.")
    { Labels = ["outcome"] };

    public static MetricInfo MigrationTime { get; } = new(
        "krewe_migration_seconds", Histogram,
        "Blocks reserved at the target to its commit; the source decodes meanwhile.")
    { Bounds = MetricBounds.Request };

    public static MetricInfo MovedBytes { get; } = new(
        "krewe_kv_moved_bytes_total", Counter, "KV that travelled between workers: handoff, migration.")
    { Labels = ["cause"] };

    public static MetricInfo Workers { get; } = new(
        "krewe_workers", Gauge, "Linked workers by role and state: ready, draining.")
    { Labels = ["role", "state"] };

    public static MetricInfo WorkersLost { get; } = new(
        "krewe_workers_lost_total", Counter, "Links to workers that ended: a crash, a hang, a restart or an upgrade.");

    public static MetricInfo PoolRunning { get; } = new(
        "krewe_pool_running_sequences", Gauge, "Running sequences as the workers report them.")
    { Labels = ["role"] };

    public static MetricInfo PoolWaiting { get; } = new(
        "krewe_pool_waiting_sequences", Gauge, "Waiting sequences, those on their way to a worker included.")
    { Labels = ["role"] };

    public static MetricInfo PoolWaitingTokens { get; } = new(
        "krewe_pool_waiting_tokens", Gauge, "Prompt tokens that wait to be computed.")
    { Labels = ["role"] };

    public static MetricInfo PoolKvUsage { get; } = new(
        "krewe_pool_kv_usage_ratio", Gauge, "Share of KV blocks that a sequence or a lease holds, 0 to 1.")
    { Labels = ["role"] };

    public static MetricInfo Decisions { get; } = new(
        "krewe_decisions_total", Counter, "What cluster control decided: migrate, evict, scale, role, refuse.")
    { Labels = ["kind"] };

    public static MetricInfo GrainActivations { get; } = new(
        "krewe_grain_activations", Gauge, "Grains in memory by class, cluster-wide on Orleans.")
    { Labels = ["grain"] };

    public static MetricInfo Kept { get; } = new(
        "krewe_kept_items", Gauge,
        "What the silo keeps in memory beyond a request's life, and what it counts of those that run; each is bounded.")
    { Labels = ["what"] };

    public static MetricInfo GrainCalls { get; } = new(
        "krewe_grain_calls_total", Counter, "Calls that this silo's grains have answered: ok, error.")
    { Labels = ["grain", "outcome"] };

    public static MetricInfo GrainCallTime { get; } = new(
        "krewe_grain_call_seconds", Histogram, "A grain call inside the grain, waiting for others included.")
    { Bounds = MetricBounds.Step, Labels = ["grain"] };

    public static MetricInfo Responses { get; } = new(
        "krewe_http_responses_total", Counter, "HTTP responses by status.")
    { Labels = ["code"] };

    public static MetricInfo Draining { get; } = new(
        "krewe_silo_draining", Gauge, "1 while the silo lets nobody in any more.");

    public static IReadOnlyList<MetricInfo> All { get; } =
    [
        Build, Requests, GoodRequests, SloMissed, Refusals, Successes, Inside, Queued, Duration, Ttft, Itl, Tpot,
        QueueTime, PrefillTime, HandoffTime, DecodeTime, RequestPrompt, RequestOutput, PromptTokens, OutputTokens,
        CachedTokens, StreamTokens, FailedAttempts, Migrations, MigrationTime, MovedBytes, Workers, WorkersLost,
        PoolRunning, PoolWaiting, PoolWaitingTokens, PoolKvUsage, Decisions, GrainActivations, Kept,
        GrainCalls, GrainCallTime, Responses, Draining, .. ProcessMetric.All,
    ];
}
