using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using Krewe.Abstractions;
using Krewe.Control.Requests;
using Microsoft.Extensions.Logging;
using Orleans;
using Orleans.Runtime;

namespace Krewe.Grains;

/// <summary>Takes, renews and gives back one request's leases at the worker grains.</summary>
internal sealed class RequestLeases(
    IGrainFactory grains, RequestSpec spec, IClusterView view, string silo, ClusterOptions options, TimeProvider time,
    ILogger log)
{
    /// <summary>
    /// Between two questions to a worker grain whose silo does not answer. The grain host notices a dead silo within
    /// about a second and then makes the grain anew elsewhere.
    /// </summary>
    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(200);

    /// <summary>Two renewals may be missed, say while a worker grain moves to another silo.</summary>
    private const int LifeInRenewals = 3;

    /// <summary>How often to call <see cref="RenewAsync"/>.</summary>
    public static TimeSpan RenewalIntervalOf(ClusterOptions options) => options.HandoffLease;

    /// <returns><see cref="LeasesGranted"/> or <see cref="PlanRefused"/>.</returns>
    public async Task<RequestEvent> AcquireAsync(RoutePlan plan)
    {
        var leases = LeaseHold.Of(plan);
        var granted = await Task.WhenAll(leases.Select(InsistAsync));
        ImmutableArray<WorkerIncarnation> refusers =
        [
            .. leases.Where((_, i) => granted[i] != Answer.Granted).Select(lease => lease.Worker),
        ];
        var now = time.GetUtcNow();
        return refusers.IsEmpty
            ? new LeasesGranted(now, plan)
            : new PlanRefused(now, plan, refusers, ErrorCode.WorkerLost,
                $"{string.Join(" and ", refusers)} gave no lease: it restarted, drains, or cannot be reached");
    }

    /// <returns>False when the worker grants it no more; an unanswered call is no such answer.</returns>
    public async Task<bool> RenewAsync(LeaseHold lease) => await TryGrantAsync(lease) != Answer.Refused;

    /// <summary>Never fails: a lease that could not be released expires by itself.</summary>
    [SuppressMessage("Design", "CA1031", Justification = "Nobody awaits a release: what it throws would be lost.")]
    public async Task ReleaseAsync(LeaseHold lease)
    {
        try
        {
            await GrainOf(lease).ReleaseAsync(KeyOf(lease));
        }
        catch (Exception error)
        {
            // A worker that is gone took its leases with it.
            if (DescriptorOf(lease) is not null) log.LeaseNotReleased(error, spec.RequestId, lease.Worker);
        }
    }

    /// <summary>Asks for as long as a link may be silent, while nobody answers.</summary>
    private async Task<Answer> InsistAsync(LeaseHold lease)
    {
        var begun = time.GetTimestamp();
        while (true)
        {
            var answer = await TryGrantAsync(lease);
            if (answer != Answer.None || time.GetElapsedTime(begun) >= options.LinkSilenceLimit) return answer;
            await Task.Delay(RetryPause, time, CancellationToken.None);
        }
    }

    private async Task<Answer> TryGrantAsync(LeaseHold lease)
    {
        var worker = DescriptorOf(lease);
        if (worker is null) return Answer.Refused;
        try
        {
            var grant = await GrainOf(lease).LeaseAsync(new LeaseRequest
            {
                Key = KeyOf(lease),
                Worker = worker,
                Silo = silo,
                Blocks = BlocksOf(lease.Phase),
                Life = LifeInRenewals * RenewalIntervalOf(options),
            });
            return grant is null ? Answer.Refused : Answer.Granted;
        }
        catch (Exception error) when (IsUnreachable(error))
        {
            log.LeaseNotAnswered(error, spec.RequestId, lease.Worker);
            return Answer.None;
        }
    }

    /// <summary>Null when the worker is gone.</summary>
    private WorkerDescriptor? DescriptorOf(LeaseHold lease) =>
        view.Workers.FirstOrDefault(known => known.Descriptor.Worker == lease.Worker)?.Descriptor;

    /// <summary>
    /// The worker grain's silo died or hangs; what the grain itself would throw is a bug and goes up.
    /// </summary>
    private static bool IsUnreachable(Exception error) => error is OrleansException or TimeoutException;

    private IWorkerGrain GrainOf(LeaseHold lease) => lease.Phase switch
    {
        WorkerPhase.Prefill => grains.GetGrain<IPrefillWorkerGrain>(lease.Worker.WorkerId),
        WorkerPhase.Decode => grains.GetGrain<IDecodeWorkerGrain>(lease.Worker.WorkerId),
        _ => throw new ArgumentOutOfRangeException(nameof(lease), lease.Phase, "A phase without a grain."),
    };

    private SequenceKey KeyOf(LeaseHold lease) => new(spec.RequestId, spec.Choice, lease.Epoch);

    private int BlocksOf(WorkerPhase phase)
    {
        var tokens = spec.PromptTokens.Length + (phase == WorkerPhase.Decode ? spec.MaxOutputTokens : 0);
        return (tokens + options.BlockTokens - 1) / options.BlockTokens;
    }

    private enum Answer
    {
        /// <summary>The lease is held.</summary>
        Granted,

        /// <summary>The worker is not ready, is another process by now, or has no link here.</summary>
        Refused,

        /// <summary>Nobody knows whether the lease is held.</summary>
        None,
    }
}
