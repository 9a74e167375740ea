using Krewe.Abstractions;
using Krewe.Control.Requests;
using Microsoft.Extensions.Logging;
using Orleans;
using Orleans.Concurrency;
using Orleans.Placement;
using Orleans.Runtime;

namespace Krewe.Grains;

/// <summary>
/// One request. The shell of <see cref="RequestMachine"/>: turns calls, timers and answers into events, and performs
/// effects. Every state change is one synchronous transition; whatever is awaited comes back as a further event.
/// </summary>
/// <remarks>
/// Reentrant, because a report or a cancel must not wait for a worker grain's answer: the machine sorts out what an
/// answer still means when it comes. It can be, because no invariant spans an await.
/// </remarks>
[Reentrant]
[PreferLocalPlacement]
internal sealed partial class RequestGrain(
    [PersistentState("record", GrainStorageNames.Requests)] IPersistentState<RequestRecordState> stored,
    RequestMachine machine,
    RequestRouter router,
    IAttemptPort port,
    IMigrationPort migrations,
    IRecordRetention retention,
    IClusterView view,
    ClusterOptions cluster,
    GrainOptions options,
    TimeProvider time,
    ILogger<RequestGrain> log) : Grain, IRequestGrain, IDisposable
{
    /// <summary>
    /// Epochs that one owner may use without writing the record: attempts are far fewer, so a new owner that begins so
    /// much higher is above all of them.
    /// </summary>
    private const int EpochsOfAnOwnerMax = 1 << 16;

    private RequestState _state = RequestState.New;

    /// <summary>
    /// What was asked for; null until the request is started, and again for a record read from storage.
    /// </summary>
    private RequestSpec? _spec;

    private RequestLeases? _leases;

    public async Task<RoutePlan> StartAsync(RequestSpec spec)
    {
        if (_spec is not null || stored.RecordExists)
        {
            throw new KreweException(ErrorCode.DuplicateRequestId,
                $"A request with the id '{spec.RequestId}' was taken in before; send every request under a new id.");
        }

        if (_state.IsTerminal)
            throw Refusal();
        return await BeginAsync(spec);
    }

    public async Task<RoutePlan> ResumeAsync(RequestSpec spec)
    {
        if (_spec is not null && !_state.IsTerminal)
        {
            throw new KreweException(
                ErrorCode.DuplicateRequestId, $"The request '{spec.RequestId}' is running; it has an owner.");
        }

        await _saved;
        _state = RequestState.New with
        {
            Epoch = Math.Max(_state.Epoch, stored.State.Record?.Epoch ?? 0) + EpochsOfAnOwnerMax,
        };
        return await BeginAsync(spec);
    }

    public Task<RequestSpec?> GetSpecAsync()
    {
        var spec = _spec ?? stored.State.Spec;
        if (_spec is null) DeactivateOnIdle();
        return Task.FromResult(spec is { Answer: not null } ? spec : null);
    }

    public Task<string?> GetOwnerAsync()
    {
        if (_spec is null) DeactivateOnIdle();
        return Task.FromResult(_spec is null ? null : options.SiloId);
    }

    private async Task<RoutePlan> BeginAsync(RequestSpec spec)
    {
        // :: Step 3
        using var span = RequestTrace.BeginPlan(spec);
        _spec = spec;
        _leases = new RequestLeases(GrainFactory, spec, view, options.SiloId, cluster, time, log);
        await ApplyAsync(new RequestStarted(time.GetUtcNow(), spec.ArrivedAt, spec.Deadline));
        if (_state.Attempts == 0)
            throw Refusal();

        if (!_state.IsTerminal)
        {
            // The first token does not wait for a disk: until the record is there, a loss of this silo loses the
            // request.
            _ = SaveAsync();
            StartRenewals();
        }

        span?.Tell(_state.Plan!);
        return _state.Plan!;
    }

    public Task ReportAsync(RequestReport report)
    {
        if (_spec is not null)
            return ApplyAsync(new Reported(time.GetUtcNow(), report));
        // The last words of a worker about a request that has ended and left memory.
        DeactivateOnIdle();
        return Task.CompletedTask;
    }

    public async Task CancelAsync(
        RequestOutcome outcome, string reason, string? finishReason = null, int outputTokens = 0)
    {
        // A record of storage has ended, or its owner has; there is nothing left to cancel.
        if (_spec is null && stored.RecordExists)
            DeactivateOnIdle();
        else
            await ApplyAsync(new CancelRequested(time.GetUtcNow(), outcome, reason, finishReason, outputTokens));
    }

    public async Task<string?> MigrateAsync(WorkerIncarnation target, string reason)
    {
        if (_spec is null)
        {
            DeactivateOnIdle();
            return "it is not running";
        }

        if (RequestMachine.WhyNotMigrate(_state, target) is { } why) return why;
        await ApplyAsync(new MigrationRequested(time.GetUtcNow(), target, reason));
        return null;
    }

    public Task EvictAsync(WorkerIncarnation worker, string reason)
    {
        if (_spec is not null) return ApplyAsync(new EvictionRequested(time.GetUtcNow(), worker, reason));
        DeactivateOnIdle();
        return Task.CompletedTask;
    }

    public Task<RequestRecord?> GetRecordAsync()
    {
        if (_spec is not null)
            return Task.FromResult<RequestRecord?>(_state.ToRecord(_spec));
        if (!_state.IsTerminal)
            DeactivateOnIdle();
        return Task.FromResult(stored.State.Record is { Outcome: null } cut ? Interrupted(cut) : stored.State.Record);
    }

    public async Task ForgetAsync()
    {
        if (_spec is not null && !_state.IsTerminal)
            return;
        await _saved;
        if (stored.RecordExists)
            await stored.ClearStateAsync();
        DeactivateOnIdle();
    }

    public override async Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken)
    {
        _watch?.Cancel();
        await _saved.WaitAsync(cancellationToken);
    }

    public void Dispose() => _watch?.Dispose();

    /// <summary>
    /// Applies an event, and the events that its effects answer with, until nothing is left to be done.
    /// </summary>
    private async Task ApplyAsync(RequestEvent happened)
    {
        for (RequestEvent? next = happened; next is not null;)
        {
            var (state, effects) = machine.Apply(_state, next);
            var ended = state.IsTerminal && !_state.IsTerminal;
            _state = state;
            if (ended && state.OutputTokens > 0) router.Ended(state.OutputTokens);
            FollowPhase(ended);
            next = null;
            foreach (var effect in effects)
            {
                switch (effect)
                {
                    // Each transition has at most one of these three.
                    case ChooseRoute choose:
                        next = router.Choose(_spec!, _state.OutputTokens, choose, time.GetUtcNow());
                        break;
                    case AcquireLeases acquire:
                        next = await _leases!.AcquireAsync(acquire.Plan);
                        break;
                    case Dispatch dispatch:
                        next = TryDispatch(dispatch.Plan);
                        break;
                    case ReleaseLease release:
                        // Not awaited, like the record: who reports or cancels must not wait for another grain or a
                        // disk.
                        _ = _leases!.ReleaseAsync(release.Lease);
                        break;
                    case Abort abort:
                        port.Abort(_spec!, abort.Plan, abort.Reason);
                        break;
                    case DispatchMigration migrate:
                        next = TryMigrate(migrate);
                        break;
                    case RevokeMigration revoke:
                        if (migrations.TryRevoke(_spec!, revoke.Plan))
                            next = new MigrationRevoked(time.GetUtcNow(), revoke.Plan.Epoch);
                        break;
                    case AbortMigration abort:
                        migrations.AbortMigration(_spec!, abort.Plan, abort.Reason);
                        break;
                    case TellFailure failure:
                        port.Fail(_spec!, failure.Code, failure.Message);
                        break;
                    case PersistRecord:
                        _ = SaveAsync();
                        break;
                    default:
                        throw new InvalidOperationException($"The request grain does not know the effect {effect}.");
                }
            }
        }
    }

    /// <returns>Null when the attempt is on its way.</returns>
    private RequestEvent? TryDispatch(RoutePlan plan)
    {
        try
        {
            port.Dispatch(_spec!, plan);
            return null;
        }
        catch (KreweException error) when (error.Code == ErrorCode.ClientClosedRequest)
        {
            return new CancelRequested(time.GetUtcNow(), RequestOutcome.Cancelled, error.Message, null, 0);
        }
        catch (KreweException error)
        {
            // The port does not say which link broke; the next look at the workers will.
            return new PlanRefused(
                time.GetUtcNow(), plan, [plan.Prefill, plan.Decode], error.Code, error.Message);
        }
    }

    /// <returns>Null when the migration is on its way.</returns>
    private PlanRefused? TryMigrate(DispatchMigration migrate)
    {
        try
        {
            migrations.Migrate(_spec!, migrate.Plan, migrate.Source, migrate.SourceEpoch);
            return null;
        }
        catch (KreweException error)
        {
            return new PlanRefused(
                time.GetUtcNow(), migrate.Plan, [migrate.Plan.Decode], error.Code, error.Message);
        }
    }

    private KreweException Refusal()
    {
        // Nothing is kept of a request that never ran: its id may come again.
        DeactivateOnIdle();
        return new KreweException(
            _state.Error ?? ErrorCode.Internal,
            _state.ErrorMessage ?? $"The request was not dispatched: {_state.Phase}.");
    }

    /// <summary>A stored life without an end: the silo that owned its stream is gone.</summary>
    private static RequestRecord Interrupted(RequestRecord record) => record with
    {
        Phase = nameof(RequestPhase.Failed),
        Outcome = RequestOutcome.Failed,
        Error = ErrorCode.Internal,
        ErrorMessage = "The silo that owned this request's stream went down; send the request again.",
    };
}
