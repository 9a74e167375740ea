using System.Globalization;
using Krewe.Abstractions;
using Krewe.Control.Cluster;
using Krewe.Grains;
using Microsoft.Extensions.Hosting;

namespace Krewe.Silo.Cluster;

/// <summary>
/// Watches this silo's pools and writes into the decision log what they need: more or fewer workers of a phase, a
/// worker of the other role. A <see cref="KubernetesScaler"/> and a <see cref="RoleSwitcher"/> carry it out where they
/// are asked to, else whoever runs the machines; refusals for the limits are told here too.
/// </summary>
internal sealed class PoolAdvisor(
    IClusterView view, IRouteTally tally, PoolPolicy policy, DecisionLog log, TimeProvider time,
    KubernetesScaler? scaler = null, RoleSwitcher? switcher = null) : BackgroundService
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    private readonly PoolScaler _scaler = new(policy);
    private readonly Dictionary<WorkerIncarnation, (WorkerRole Role, ulong Steps)> _seen = [];
    private DateTimeOffset? _lastJoined;

    /// <summary>Looks once; the interval is what passed since the last look.</summary>
    internal void Look(DateTimeOffset now, TimeSpan passed)
    {
        var counts = tally.Take();
        if (counts.Refused > 0)
        {
            log.Add(now, "refuse", string.Create(CultureInfo.InvariantCulture,
                $"refused {counts.Refused} of {counts.Requests} requests in {passed.TotalSeconds:0} s: no pair of "
                + $"workers was predicted to meet the limits"));
        }

        var workers = view.Workers.Where(worker => worker.State == WorkerState.Ready).ToList();
        var busy = workers.ToDictionary(worker => worker.Descriptor.Worker, worker => BusyShare(worker, now, passed));
        // A silo that is waiting for its first worker needs no advice.
        if (_lastJoined is null) return;
        foreach (var gone in _seen.Keys.Except(busy.Keys).ToList()) _seen.Remove(gone);
        PhaseSample Of(Func<WorkerRole, bool> takes, int met)
        {
            var ready = workers.Where(worker => takes(worker.Descriptor.Role)).ToList();
            var share = ready.Count == 0 ? 0 : ready.Average(worker => busy[worker.Descriptor.Worker]);
            return new PhaseSample(ready.Count, counts.Requests, met, share);
        }

        var sample = new PoolSample(
            now, Of(role => role != WorkerRole.Decode, counts.TtftMet),
            Of(role => role != WorkerRole.Prefill, counts.TpotMet), _lastJoined);
        foreach (var action in _scaler.Observe(sample)) Tell(now, action);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        while (await timer.WaitForNextTickAsync(stoppingToken)) Look(time.GetUtcNow(), Interval);
    }

    private void Tell(DateTimeOffset now, PoolAction action)
    {
        var (kind, what) = action switch
        {
            ScalePhase scale => ("scale", string.Create(CultureInfo.InvariantCulture,
                $"advise {scale.To} {Name(scale.Phase)} workers instead of {scale.From}: {scale.Reason}")),
            SwitchRole change => ("role",
                $"advise one {Name(change.From)} worker to become a {Name(change.To)} worker: {change.Reason}"),
            _ => throw new InvalidOperationException($"The pool advisor does not know {action}."),
        };
        log.Add(now, kind, what);
        _ = action switch
        {
            ScalePhase scale => scaler?.ScaleAsync(scale),
            SwitchRole change => switcher?.SwitchAsync(change),
            _ => null,
        };
    }

    /// <summary>Steps since the last look times what a step takes.</summary>
    private double BusyShare(WorkerView worker, DateTimeOffset now, TimeSpan passed)
    {
        var key = worker.Descriptor.Worker;
        var isKnown = _seen.TryGetValue(key, out var before) && before.Role == worker.Descriptor.Role;
        if (!isKnown) _lastJoined = now;
        _seen[key] = (worker.Descriptor.Role, worker.Steps);
        if (!isKnown || worker.Steps < before.Steps) return 0;
        return Math.Min(1, (worker.Steps - before.Steps) * worker.StepMs / passed.TotalMilliseconds);
    }

    private static string Name(PoolPhase phase) => phase == PoolPhase.Prefill ? "prefill" : "decode";
}
