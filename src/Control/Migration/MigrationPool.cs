using System.Collections.Immutable;
using Krewe.Abstractions;

namespace Krewe.Control.Migration;

/// <summary>
/// A pool of workers over time: the newest view of each silo, what is wanted of each worker, and the orders that
/// follow. Pure but for its own memory: times come in. Invariant: a sequence is ordered to move again only when its
/// last order had time to show.
/// </summary>
public sealed class MigrationPool(MigrationPolicy policy, DrainPolicy drains)
{
    /// <summary>A silo that was silent for so long is gone, and its view with it.</summary>
    private static readonly TimeSpan ViewLife = TimeSpan.FromSeconds(10);

    /// <summary>
    /// An order that has not shown by then came to nothing: until then it is reckoned in here, and not given again.
    /// </summary>
    private static readonly TimeSpan ShowTime = TimeSpan.FromSeconds(1);

    private readonly Dictionary<string, (PoolReport Report, DateTimeOffset At)> _views = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Pending> _ordered = new(StringComparer.Ordinal);
    private readonly Dictionary<string, WorkerWish> _wishes = new(StringComparer.Ordinal);

    public ImmutableDictionary<string, WorkerWish> Wishes => _wishes.ToImmutableDictionary(StringComparer.Ordinal);

    public void SetWish(string workerId, WorkerWish wish)
    {
        if (wish == WorkerWish.Serve) _wishes.Remove(workerId);
        else _wishes[workerId] = wish;
    }

    /// <summary>Takes a silo's view; returns orders for the sequences of this silo.</summary>
    public ImmutableArray<PoolOrder> Exchange(PoolReport report, DateTimeOffset now)
    {
        _views[report.SiloId] = (report, now);
        foreach (var (silo, view) in _views.ToArray())
        {
            if (now - view.At > ViewLife) _views.Remove(silo);
        }

        foreach (var (key, order) in _ordered.ToArray())
        {
            if (now - order.At > policy.Cooldown) _ordered.Remove(key);
            else if (order.SiloId == report.SiloId)
                _ordered[key] = order with { IsOpen = IsOpen(key, order, report, now) };
        }

        var workers = Workers();
        var usages = workers.Values.Select(UsageOf).ToImmutableArray();
        foreach (var order in _ordered.Values.Where(order => order is { IsOpen: true, Target: not null }))
            usages = Moved(usages, order);
        var orders = ImmutableArray.CreateBuilder<PoolOrder>();
        OrderDrains(report, workers, ref usages, orders, now);
        OrderBalance(report, ref usages, orders, now);
        return orders.ToImmutable();
    }

    private void OrderDrains(
        PoolReport report, Dictionary<string, PoolWorker> workers, ref ImmutableArray<WorkerUsage> usages,
        ImmutableArray<PoolOrder>.Builder orders, DateTimeOffset now)
    {
        foreach (var sequence in report.Sequences.OrderByDescending(sequence => sequence.Priority)
            .ThenBy(sequence => sequence.Blocks).ThenBy(sequence => sequence.Key, StringComparer.Ordinal))
        {
            if (!workers.TryGetValue(sequence.Worker.WorkerId, out var worker) || worker.Worker != sequence.Worker
                || !IsDraining(worker) || _ordered.GetValueOrDefault(sequence.Key) is { IsOpen: true })
            {
                continue;
            }

            var target = Taker(usages, worker, sequence);
            var others = usages.Any(usage => usage.Worker != worker.Worker && usage.TakesSequences);
            switch (DrainPlan.Decide(sequence, worker.DrainLeft, worker.StepTime, target is not null, others, drains))
            {
                case DrainDecision.Move when IsIdle(usages, worker):
                    orders.Add(new PoolOrder(
                        sequence.Key, worker.Worker, target, $"{worker.Worker.WorkerId} drains"));
                    usages = Moved(usages, Note(report, orders[orders.Count - 1], sequence.Blocks, now));
                    break;
                case DrainDecision.Recompute:
                    orders.Add(new PoolOrder(
                        sequence.Key, worker.Worker, null,
                        $"{worker.Worker.WorkerId} drains and the KV cannot leave it in time"));
                    Note(report, orders[orders.Count - 1], sequence.Blocks, now);
                    break;
                default: break;
            }
        }
    }

    private void OrderBalance(
        PoolReport report, ref ImmutableArray<WorkerUsage> usages, ImmutableArray<PoolOrder>.Builder orders,
        DateTimeOffset now)
    {
        foreach (var pair in MigrationPairing.Pair(usages, policy))
        {
            if (pair.Source.IsDraining) continue; // ordered above, by its deadline
            var movable = report.Sequences
                .Where(sequence => sequence.Worker == pair.Source.Worker && sequence.IsDecoding
                    && !_ordered.ContainsKey(sequence.Key))
                .Select(sequence => new MovableSequence(sequence.Key, sequence.Blocks, sequence.Priority, true));
            if (MigrationPairing.Choose(pair, movable, policy) is not { } chosen) continue;
            orders.Add(new PoolOrder(chosen.RequestId, pair.Source.Worker, pair.Target.Worker, pair.Reason));
            usages = Moved(usages, Note(report, orders[orders.Count - 1], chosen.Blocks, now));
        }
    }

    private bool IsIdle(ImmutableArray<WorkerUsage> usages, PoolWorker worker) =>
        usages.First(usage => usage.Worker == worker.Worker).Migrations < policy.MigrationsPerWorkerMax;

    private WorkerIncarnation? Taker(ImmutableArray<WorkerUsage> usages, PoolWorker worker, PoolSequence sequence)
    {
        var taker = usages
            .Where(usage => usage is { TakesSequences: true, IsDraining: false } && usage.Worker != worker.Worker
                && usage.Numerics == worker.Numerics && usage.FreeBlocks > sequence.Blocks + usage.RunningSequences
                && usage.Migrations < policy.MigrationsPerWorkerMax)
            .OrderByDescending(usage => Freeness.Of(usage, policy.HeadroomBlocks))
            .ThenBy(usage => usage.Worker.WorkerId, StringComparer.Ordinal)
            .FirstOrDefault();
        return taker?.Worker;
    }

    private Pending Note(PoolReport report, PoolOrder order, int blocks, DateTimeOffset now) =>
        _ordered[order.Key] = new Pending(report.SiloId, order.Source, order.Target, blocks, now, IsOpen: true);

    /// <summary>The sequence still is where it was ordered to leave, and the order is not old.</summary>
    private static bool IsOpen(string key, Pending order, PoolReport report, DateTimeOffset now) =>
        now - order.At < ShowTime
        && report.Sequences.Any(sequence => sequence.Key == key && sequence.Worker == order.Source);

    /// <summary>The views count a move only when it shows in load reports: until then this does.</summary>
    private static ImmutableArray<WorkerUsage> Moved(ImmutableArray<WorkerUsage> usages, Pending order) =>
    [
        .. usages.Select(usage => usage.Worker == order.Source
            ? usage with
            {
                Migrations = usage.Migrations + 1,
                UsedBlocks = Math.Max(0, usage.UsedBlocks - order.Blocks),
                RunningSequences = Math.Max(0, usage.RunningSequences - 1),
            }
            : usage.Worker == order.Target
                ? usage with
                {
                    Migrations = usage.Migrations + 1,
                    UsedBlocks = usage.UsedBlocks + order.Blocks,
                    RunningSequences = usage.RunningSequences + 1,
                }
                : usage),
    ];

    /// <summary>Each worker once, as the silo with the newest view sees it.</summary>
    private Dictionary<string, PoolWorker> Workers()
    {
        var workers = new Dictionary<string, PoolWorker>(StringComparer.Ordinal);
        foreach (var (report, _) in _views.Values.OrderBy(view => view.At))
        {
            foreach (var worker in report.Workers) workers[worker.Worker.WorkerId] = worker;
        }

        return workers;
    }

    private bool IsDraining(PoolWorker worker) =>
        worker.State == WorkerState.Draining || WishOf(worker) == WorkerWish.Drain;

    private WorkerWish WishOf(PoolWorker worker) =>
        _wishes.GetValueOrDefault(worker.Worker.WorkerId, WorkerWish.Serve);

    private WorkerUsage UsageOf(PoolWorker worker) => new()
    {
        Worker = worker.Worker,
        TotalBlocks = worker.TotalBlocks,
        UsedBlocks = worker.UsedBlocks,
        RunningSequences = worker.RunningSequences,
        HeadOfLineBlocks = worker.HeadOfLineBlocks,
        PriorityMax = _views.Values.SelectMany(view => view.Report.Sequences)
            .Where(sequence => sequence.Worker == worker.Worker).Select(sequence => sequence.Priority)
            .DefaultIfEmpty().Max(),
        IsDraining = IsDraining(worker),
        TakesSequences = worker.State == WorkerState.Ready && worker.Role != WorkerRole.Prefill
            && WishOf(worker) == WorkerWish.Serve,
        Numerics = worker.Numerics,
        Migrations = worker.Migrations,
    };

    private sealed record Pending(
        string SiloId, WorkerIncarnation Source, WorkerIncarnation? Target, int Blocks, DateTimeOffset At, bool IsOpen);
}
