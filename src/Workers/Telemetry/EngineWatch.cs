using System.Diagnostics;
using Krewe.Abstractions.Wire;
using SequenceKey = Krewe.Abstractions.SequenceKey;

namespace Krewe.Workers;

/// <summary>
/// Sees the state changes of an engine's sequences: times and counts them, and tells the spans of those that are
/// traced. Engine thread only; costs nothing in a step that changes no state.
/// </summary>
internal sealed class EngineWatch(WorkerMetrics metrics, string workerId, TimeProvider time)
{
    private readonly Dictionary<SequenceKey, Watched> _watched = [];

    public WorkerMetrics Metrics => metrics;

    private sealed record Watched(
        SequenceKey Key, SequencePart Part, int KnownTokens, ActivityContext? Trace, DateTimeOffset StartedAt)
    {
        public DateTimeOffset? PrefillAt { get; set; }

        public DateTimeOffset? HandoffAt { get; set; }

        public DateTimeOffset? ArrivedAt { get; set; }

        public DateTimeOffset? DecodeAt { get; set; }

        public DateTimeOffset? MigrationAt { get; set; }

        public uint PrefixHitTokens { get; set; }
    }

    /// <summary>A silo sent a part; whatever becomes of it, RELEASED is its last change.</summary>
    public void Begun(StartSequence start)
    {
        if (start.Key is null) return;
        var key = start.Key.FromWire();
        ActivityContext? trace = start.Traceparent.Length > 0 && WorkerTrace.IsOn
            && ActivityContext.TryParse(start.Traceparent, null, isRemote: true, out var context)
                ? context
                : null;
        _watched[key] = new Watched(
            key, start.Part, start.PromptTokens.Count + start.OutputTokens.Count, trace, time.GetUtcNow());
    }

    /// <summary>Its KV is here whole, and the source knows; the engine takes it over with its next turn.</summary>
    public void Arrived(SequenceKey key, DateTimeOffset at)
    {
        if (_watched.TryGetValue(key, out var watched)) watched.ArrivedAt = at;
    }

    public void Changed(SequenceEvent change)
    {
        if (change.Key is null || !_watched.TryGetValue(change.Key.FromWire(), out var watched)) return;
        var now = time.GetUtcNow();
        switch (change.Kind)
        {
            case SequenceEventKind.PrefillStarted:
                watched.PrefillAt = now;
                watched.PrefixHitTokens = change.PrefixHitTokens;
                metrics.PrefixQueries.Add(watched.KnownTokens);
                metrics.PrefixHits.Add(change.PrefixHitTokens);
                break;
            case SequenceEventKind.PrefillFinished: EndPrefill(watched, now, null); break;
            case SequenceEventKind.HandoffStarted: watched.HandoffAt = now; break;
            case SequenceEventKind.HandoffCommitted: EndHandoff(watched, change, now); break;
            case SequenceEventKind.DecodeStarted: watched.DecodeAt = now; break;
            case SequenceEventKind.MigrationStarted: watched.MigrationAt = now; break;
            case SequenceEventKind.MigrationCommitted: EndMigration(watched, change, now); break;
            case SequenceEventKind.Failed: Fail(watched, change, now); break;
            case SequenceEventKind.Released:
                if (watched.DecodeAt is { } decode) Tell(watched, 7, "decode", decode, now, null);
                _watched.Remove(watched.Key);
                break;
            default: break;
        }
    }

    private void EndPrefill(Watched watched, DateTimeOffset now, string? error)
    {
        Tell(
            watched, 4, "prefill", watched.PrefillAt ?? watched.StartedAt, now, error,
            ("krewe.known_tokens", watched.KnownTokens), ("krewe.prefix_hit_tokens", (long)watched.PrefixHitTokens));
        watched.PrefillAt = null;
    }

    private void EndHandoff(Watched watched, SequenceEvent change, DateTimeOffset now)
    {
        var start = watched.HandoffAt ?? now;
        var arrived = watched.ArrivedAt ?? now;
        metrics.Handoffs.Of("committed").Add();
        metrics.HandoffTime.Record(now - start);
        metrics.HandoffBytes.Add((long)change.BytesMoved);
        Tell(
            watched, 5, "handoff", start, arrived, null, ("krewe.kv.blocks", (long)change.BlocksMoved),
            ("krewe.kv.bytes", (long)change.BytesMoved));
        Tell(watched, 6, "commit", arrived, now, null);
        watched.HandoffAt = null;
    }

    private void EndMigration(Watched watched, SequenceEvent change, DateTimeOffset now)
    {
        Tell(
            watched, null, "migration", watched.MigrationAt ?? watched.StartedAt, now, null,
            ("krewe.kv.blocks", (long)change.BlocksMoved), ("krewe.kv.bytes", (long)change.BytesMoved));
        (watched.MigrationAt, watched.DecodeAt) = (null, now);
    }

    private void Fail(Watched watched, SequenceEvent change, DateTimeOffset now)
    {
        metrics.Failures.Of(change.ErrorCode).Add();
        if (watched.HandoffAt is { } handoff)
        {
            metrics.Handoffs.Of("failed").Add();
            Tell(watched, 5, "handoff", handoff, now, change.ErrorCode);
        }
        else if (watched.PrefillAt is not null)
        {
            EndPrefill(watched, now, change.ErrorCode);
        }
        else if (watched.DecodeAt is { } decode)
        {
            Tell(watched, 7, "decode", decode, now, change.ErrorCode);
            watched.DecodeAt = null;
        }
    }

    private void Tell(
        Watched watched, int? step, string name, DateTimeOffset start, DateTimeOffset end, string? error,
        params ReadOnlySpan<(string Key, object? Value)> tags)
    {
        if (watched.Trace is not { } trace) return;
        WorkerTrace.Tell(
            trace, step, name, start, end, error,
            [
                ("krewe.worker", workerId), ("krewe.request_id", watched.Key.RequestId),
                ("krewe.choice", watched.Key.Choice), ("krewe.epoch", watched.Key.Epoch), .. tags,
            ]);
    }
}
