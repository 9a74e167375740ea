using Krewe.Abstractions;
using Krewe.Control.Metrics;
using Krewe.Grains;
using Krewe.Silo.Gateway.Admission;
using Krewe.Silo.Telemetry;
using Microsoft.Extensions.Hosting;

namespace Krewe.Silo.Dashboard;

/// <summary>
/// Takes a snapshot a second: counters as rates, distributions as quantiles of the last ten seconds, pools as their
/// workers' newest reports say.
/// </summary>
internal sealed class SnapshotSampler(
    SiloMetrics metrics, IClusterView view, Door door, RecentRequests recent, SnapshotRing ring, TimeProvider time)
    : BackgroundService
{
    private const int WindowSeconds = 10;

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly Queue<(HistogramCounts Ttft, HistogramCounts Itl)> _window = new();
    private readonly Dictionary<WorkerIncarnation, WorkerTotals> _workers = [];
    private Totals? _before;

    private sealed record Totals(
        long At, long Finished, long Good, long Failed, long Refused, long Prompt, long Output, long Cached,
        long Migrations);

    private readonly record struct WorkerTotals(ulong Steps, ulong PrefillTokens, ulong DecodeTokens);

    /// <summary>Takes one; to be called about once a second.</summary>
    internal void Take()
    {
        var now = ReadTotals();
        var before = _before ?? now;
        var seconds = Math.Max(0.001, time.GetElapsedTime(before.At, now.At).TotalSeconds);
        double Rate(Func<Totals, long> read) => (read(now) - read(before)) / seconds;
        _window.Enqueue((metrics.Ttft.Look(), metrics.Itl.Look()));
        if (_window.Count > WindowSeconds + 1) _window.Dequeue();
        var (ttft, itl) = (
            _window.Last().Ttft.Since(_window.Peek().Ttft), _window.Last().Itl.Since(_window.Peek().Itl));
        double?[] silo =
        [
            Rate(all => all.Finished), Rate(all => all.Good), Rate(all => all.Failed), Rate(all => all.Refused),
            ttft.Quantile(0.5) * 1000, ttft.Quantile(0.95) * 1000, itl.Quantile(0.5) * 1000, itl.Quantile(0.99) * 1000,
            recent.QueuedCount, door.InsideCount, Rate(all => all.Prompt), Rate(all => all.Output),
            Rate(all => all.Cached), Rate(all => all.Migrations),
        ];
        ring.Add(new Snapshot(time.GetUtcNow(), [.. silo, .. Pools(seconds)]));
        _before = now;
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            do Take();
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            return;
        }
    }

    private Totals ReadTotals() => new(
        time.GetTimestamp(), Ended(RequestEnding.FinishedOutcome), metrics.Good.Value, Ended(RequestEnding.Failed),
        Ended(RequestEnding.Refused), metrics.PromptTokens.Value, metrics.OutputTokens.Value,
        metrics.CachedTokens.Value, metrics.Migrations.Of("committed").Value);

    private long Ended(string outcome) =>
        metrics.Requests.Series.Where(pair => pair.Labels[1] == outcome).Sum(pair => pair.Series.Value);

    private List<double?> Pools(double seconds)
    {
        var workers = view.Workers;
        List<double?> values = [];
        foreach (var role in SnapshotSeries.Roles)
        {
            var pool = workers.Where(worker => worker.Descriptor.Role == role).ToArray();
            if (pool.Length == 0)
            {
                values.AddRange(Enumerable.Repeat<double?>(null, SnapshotSeries.Pool.Length));
                continue;
            }

            var (prefill, decode, busy) = Work(pool, seconds);
            values.AddRange(
            [
                pool.Count(worker => worker.State == WorkerState.Ready), pool.Sum(worker => worker.RunningSequences),
                pool.Sum(worker => worker.WaitingSequences + worker.DispatchedSequences),
                pool.Sum(worker => worker.WaitingTokens + worker.DispatchedTokens), SiloGauges.KvUsage(pool), prefill,
                decode, busy,
            ]);
        }

        foreach (var gone in _workers.Keys.Except(workers.Select(worker => worker.Descriptor.Worker)).ToArray())
            _workers.Remove(gone);
        return values;
    }

    /// <summary>Tokens a second of both phases, and the mean share of time that the workers compute.</summary>
    private (double Prefill, double Decode, double Busy) Work(WorkerView[] pool, double seconds)
    {
        var (prefill, decode, busy) = (0.0, 0.0, 0.0);
        foreach (var worker in pool)
        {
            var now = new WorkerTotals(worker.Steps, worker.PrefillTokens, worker.DecodeTokens);
            if (_workers.TryGetValue(worker.Descriptor.Worker, out var before) && now.Steps >= before.Steps)
            {
                prefill += (now.PrefillTokens - before.PrefillTokens) / seconds;
                decode += (now.DecodeTokens - before.DecodeTokens) / seconds;
                busy += Math.Min(1, (now.Steps - before.Steps) * worker.StepMs / 1000 / seconds);
            }

            _workers[worker.Descriptor.Worker] = now;
        }

        return (prefill, decode, busy / pool.Length);
    }
}
