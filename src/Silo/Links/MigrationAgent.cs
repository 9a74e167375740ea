using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using Krewe.Abstractions;
using Krewe.Control.Cluster;
using Krewe.Silo.Hosting;
using Krewe.Silo.Streams;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Orleans;

namespace Krewe.Silo.Links;

/// <summary>
/// Tells the pool grain what this silo sees and carries out its orders for the sequences that this silo owns. Orders
/// are advice: a request that cannot move any more says so, and the next report tells the pool.
/// </summary>
internal sealed partial class MigrationAgent(
    ClusterView view, RequestStreams streams, ServedModel model, SiloOptions options, IGrainFactory grains,
    DecisionLog decisions, TimeProvider time, ILogger<MigrationAgent> log) : BackgroundService
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan DrainInterval = TimeSpan.FromMilliseconds(100);

    /// <summary>More would only make the message long: the rest is told when these have moved.</summary>
    private const int SequencesPerWorkerMax = 64;

    private readonly Lock _gate = new();

    /// <summary>Wishes that this silo has told the pool: an answer from before the newest of them is out of date.
    /// </summary>
    private int _told;

    /// <summary>Of the pool's grain that answered last; null before the first answer.</summary>
    private long? _life;

    private ImmutableDictionary<string, WorkerWish> _wishes = ImmutableDictionary<string, WorkerWish>.Empty;

    /// <summary>The pool's newest word on each worker that is not simply to serve.</summary>
    public ImmutableDictionary<string, WorkerWish> Wishes => _wishes;

    private IPoolGrain Pool => grains.GetGrain<IPoolGrain>(model.Name);

    /// <summary>Tells the pool what is wanted of a worker, and the view of this silo at once.</summary>
    public async Task SetWishAsync(string workerId, WorkerWish wish)
    {
        lock (_gate)
        {
            _told++;
            // From now on nothing older is told to a pool that was made anew.
            if (wish == WorkerWish.Serve) _wishes = _wishes.Remove(workerId);
            else if (_wishes.ContainsKey(workerId)) _wishes = _wishes.SetItem(workerId, wish);
        }

        await Pool.SetWishAsync(workerId, wish);
        lock (_gate)
        {
            _told++;
            view.SetCordoned(workerId, wish != WorkerWish.Serve);
        }
    }

    /// <summary>
    /// Makes a worker take other phases, live: empties it, tells it, and waits until it is back with the new role.
    /// False when it could not be emptied or was not back in time; then it is as before.
    /// </summary>
    public async Task<bool> SwitchRoleAsync(
        string workerId, WorkerRole role, TimeSpan limit, CancellationToken cancellationToken)
    {
        using var patience = new CancellationTokenSource(limit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
        await SetWishAsync(workerId, WorkerWish.Drain);
        try
        {
            while (view.Find(workerId) is not { AttemptCount: 0 }) await Task.Delay(DrainInterval, time, either.Token);
            view.Find(workerId)?.TrySetRole(role);
            while (view.Find(workerId)?.Descriptor.Role != role) await Task.Delay(DrainInterval, time, either.Token);
            return true;
        }
        catch (OperationCanceledException) when (patience.IsCancellationRequested)
        {
            return false;
        }
        finally
        {
            await SetWishAsync(workerId, WorkerWish.Serve);
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            while (true)
            {
                var report = Report();
                await Task.Delay(NeedsHaste(report) ? DrainInterval : Interval, time, stoppingToken);
                if (report.Workers.Length > 1) await ExchangeAsync(Report());
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            return;
        }
    }

    private bool NeedsHaste(PoolReport report) =>
        report.Workers.Any(worker => worker.State == WorkerState.Draining)
        || _wishes.ContainsValue(WorkerWish.Drain);

    [SuppressMessage("Design", "CA1031", Justification =
        "A grain call can fail in any way its host has; the next exchange must take place all the same.")]
    private async Task ExchangeAsync(PoolReport report)
    {
        try
        {
            int told;
            lock (_gate) told = _told;
            var answer = await RemindAsync(await Pool.ExchangeAsync(report), report);
            lock (_gate)
            {
                // Else the next exchange, in a moment, has the new wish.
                if (told == _told) Follow(answer.Wishes, report);
            }

            var done = new List<PoolOrder>();
            foreach (var order in answer.Orders)
            {
                if (await CarryOutAsync(order)) done.Add(order);
            }

            Tell(done);
        }
        catch (Exception e)
        {
            LogExchangeFailed(log, e);
        }
    }

    private void Follow(ImmutableDictionary<string, WorkerWish> wishes, PoolReport report)
    {
        _wishes = wishes;
        foreach (var worker in report.Workers)
            view.SetCordoned(worker.Worker.WorkerId, wishes.ContainsKey(worker.Worker.WorkerId));
    }

    /// <summary>
    /// A pool's grain that was made anew, because its silo died, has forgotten what is wanted of the workers; every
    /// silo tells it what it last heard.
    /// </summary>
    private async Task<PoolAnswer> RemindAsync(PoolAnswer answer, PoolReport report)
    {
        var isAnew = _life is { } known && known != answer.Life;
        _life = answer.Life;
        if (!isAnew || _wishes.IsEmpty) return answer;
        foreach (var worker in _wishes.Keys)
        {
            // As it is wanted now.
            if (_wishes.TryGetValue(worker, out var wish)) await Pool.SetWishAsync(worker, wish);
        }

        var again = await Pool.ExchangeAsync(report);
        return again with { Orders = answer.Orders.AddRange(again.Orders) };
    }

    /// <summary>One line for all that went the same way for the same reason.</summary>
    private void Tell(List<PoolOrder> done)
    {
        foreach (var way in done.GroupBy(order => (order.Source, order.Target, order.Reason)))
        {
            var requests = way.Count() == 1 ? "1 request" : $"{way.Count()} requests";
            var (source, target, reason) = way.Key;
            decisions.Add(time.GetUtcNow(), target is null ? "evict" : "migrate", target is { } worker
                ? $"moved {requests} from {source.WorkerId} to {worker.WorkerId}: {reason}"
                : $"took {requests} off {source.WorkerId} to be computed again elsewhere: {reason}");
        }
    }

    /// <returns>False when the request stays where it is.</returns>
    private async Task<bool> CarryOutAsync(PoolOrder order)
    {
        var request = grains.GetGrain<IRequestGrain>(order.Key);
        if (order.Target is not { } target)
        {
            LogEvicted(log, order.Key, order.Reason);
            await request.EvictAsync(order.Source, order.Reason);
            return true;
        }

        if (await request.MigrateAsync(target, order.Reason) is not { } why) return true;
        LogNotMoved(log, order.Key, target, why);
        return false;
    }

    private PoolReport Report() => new(
        options.SiloId,
        [.. view.Links.Select(Describe)],
        [.. view.Links.SelectMany(link => link.Sequences(SequencesPerWorkerMax, streams.TokenCountOf))]);

    private static PoolWorker Describe(WorkerLink link)
    {
        var load = link.Load;
        return new PoolWorker
        {
            Worker = link.Worker,
            Role = link.Descriptor.Role,
            State = load is { Draining: true } ? WorkerState.Draining : WorkerState.Ready,
            Numerics = link.Descriptor.Numerics,
            TotalBlocks = link.Descriptor.TotalBlocks,
            UsedBlocks = (int)(load?.PinnedBlocks ?? 0),
            RunningSequences = (int)(load?.RunningSequences ?? 0),
            HeadOfLineBlocks = (int)(load?.HeadOfLineBlocks ?? 0),
            Migrations = (int)(load?.Migrations ?? 0),
            DrainLeft = load is { Draining: true } ? TimeSpan.FromMilliseconds(load.DrainLeftMs) : null,
            StepTime = TimeSpan.FromMilliseconds(load?.StepMs ?? 0),
        };
    }

    [LoggerMessage(30, LogLevel.Warning, "The pool's grain could not be asked; sequences stay where they are")]
    private static partial void LogExchangeFailed(ILogger log, Exception error);

    [LoggerMessage(31, LogLevel.Information, "Request {Request} is computed again elsewhere: {Reason}")]
    private static partial void LogEvicted(ILogger log, string request, string reason);

    [LoggerMessage(32, LogLevel.Debug, "Request {Request} does not move to {Target}: {Why}")]
    private static partial void LogNotMoved(ILogger log, string request, WorkerIncarnation target, string why);
}
