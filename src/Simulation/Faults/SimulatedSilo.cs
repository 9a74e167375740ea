using System.Collections.Immutable;
using Krewe.Abstractions;
using Krewe.Control.Leases;
using Krewe.Control.Requests;
using Krewe.Control.Routing;

namespace Krewe.Simulation.Faults;

/// <summary>
/// The silo: request machines, lease tables and routing are production code; links, streams and timers stand in for the
/// silo's shells. Performs the machines' effects and checks the streams.
/// </summary>
internal sealed partial class SimulatedSilo(FaultWorld world)
{
    /// <summary>Its name among the processes that a partition can part.</summary>
    public const string SiloId = "silo";

    private readonly RequestMachine _machine = new(RequestLimits.From(world.Cluster));
    private readonly LeastLoadedPolicy _policy = new();
    private readonly Dictionary<string, SimulatedRequest> _requests = [];
    private readonly Dictionary<(string Worker, WorkerPhase Phase), LeaseTable> _leases = [];

    public IReadOnlyCollection<SimulatedRequest> Requests => _requests.Values;

    public IEnumerable<LeaseTable> Leases => _leases.Values;

    public void Begin(SimulatedRequest request)
    {
        _requests.Add(request.Id, request);
        Feed(request, new RequestStarted(world.UtcNow, world.UtcNow, world.UtcNow + world.Cluster.RequestTimeout));
    }

    public void Cancel(SimulatedRequest request) => Feed(request, new CancelRequested(
        world.UtcNow, RequestOutcome.Cancelled, "the client went away", null, request.Stream.Count));

    // ---- links ----

    public void Attach(SimulatedWorker worker)
    {
        worker.Control?.Close();
        worker.Control = new SimulatedLink(world, SiloId, worker.Id);
        foreach (var phase in Enum.GetValues<WorkerPhase>()) Table(worker.Id, phase).Attach(worker.Incarnation);
        foreach (var request in _requests.Values.ToList()) Feed(request, new WorkersChanged(world.UtcNow));
    }

    /// <summary>The link is gone on the silo's side; every attempt on the worker is lost to this silo.</summary>
    public void LinkLost(SimulatedWorker worker, ErrorCode why)
    {
        if (worker.Control is null) return;
        worker.Control.Close();
        worker.Control = null;
        foreach (var phase in Enum.GetValues<WorkerPhase>()) Table(worker.Id, phase).VoidIncarnation();
        foreach (var request in _requests.Values.ToList())
        {
            foreach (var holder in request.State.Holders.Where(h => h.Worker == worker.Identity).ToList())
            {
                Feed(request, new Reported(world.UtcNow, new RequestReport
                {
                    Kind = RequestReportKind.WorkerLost,
                    Epoch = holder.Epoch,
                    Worker = holder.Worker,
                    Error = why,
                    Message = $"{worker.Id} is gone",
                }));
            }
        }
    }

    public void Report(string requestId, RequestReport report)
    {
        var request = _requests[requestId];
        if (report.Kind == RequestReportKind.MigrationCommitted && !TryAdopt(request, report.Epoch))
        {
            // Revoked: its worker must let go, and the request's machine has settled it already.
            var worker = world.Worker(report.Worker!.Value.WorkerId);
            worker.Control?.Send(() => worker.Local(0, () => worker.Abort(Key(request, report.Epoch))));
            return;
        }

        Feed(request, new Reported(world.UtcNow, report));
    }

    // ---- the owner's stream ----

    public void TakeTokens(SequenceKey key, int firstIndex, int[] tokens, bool finished)
    {
        var request = _requests[key.RequestId];
        var fenced = key.Epoch != request.StreamEpoch || request.State.IsTerminal;
        if (fenced && world.Defect != FaultDefect.OwnerForgetsEpochs) return;
        for (var i = 0; i < tokens.Length; i++)
        {
            if (firstIndex + i == request.Stream.Count || world.Defect == FaultDefect.OwnerForgetsEpochs)
                Accept(request, tokens[i]);
        }

        MayWishElsewhere(request);

        if (!finished || request.Stream.Count != firstIndex + tokens.Length) return;
        Feed(request, new Reported(world.UtcNow, new RequestReport
        {
            Kind = RequestReportKind.Finished,
            Epoch = key.Epoch,
            FinishReason = "length",
            OutputTokens = request.Stream.Count,
        }));
    }

    private static void Accept(SimulatedRequest request, int token)
    {
        var index = request.Stream.Count;
        request.Stream.Add(token);
        if (index >= request.MaxOutputTokens)
            throw new FaultViolationException($"{request.Id}: token {index} of {request.MaxOutputTokens} was taken.");
        if (request.Expected[index] != token)
        {
            throw new FaultViolationException(
                $"{request.Id}: token {index} of epoch {request.StreamEpoch} is {token}, the undisturbed run's is "
                + $"{request.Expected[index]}.");
        }
    }

    // ---- the request grains ----

    private void Feed(SimulatedRequest request, RequestEvent happened)
    {
        var queue = new Queue<RequestEvent>([happened]);
        while (queue.TryDequeue(out var next))
        {
            var before = request.State;
            var (state, effects) = _machine.Apply(before, next);
            request.State = state;
            CheckEnding(request, before, state);
            foreach (var effect in effects) Perform(request, effect, queue);
        }

        ScheduleTick(request);
    }

    private static void CheckEnding(SimulatedRequest request, RequestState before, RequestState after)
    {
        if (before.IsTerminal && after.Outcome != before.Outcome)
            throw new FaultViolationException($"{request.Id}: its outcome {before.Outcome} became {after.Outcome}.");
        if (!before.IsTerminal && after.IsTerminal) request.Endings++;
    }

    private void ScheduleTick(SimulatedRequest request)
    {
        if (request.State.DueAt is not { } due) return;
        world.Events.At(world.At(due), () =>
        {
            if (request.State.DueAt is { } now && now <= world.UtcNow) Feed(request, new ClockTicked(world.UtcNow));
        });
    }

    private void Perform(SimulatedRequest request, RequestEffect effect, Queue<RequestEvent> queue)
    {
        switch (effect)
        {
            case ChooseRoute choose:
                queue.Enqueue(Route(request, choose));
                break;
            case AcquireLeases acquire:
                queue.Enqueue(Acquire(request, acquire.Plan));
                break;
            case ReleaseLease release:
                if (world.Defect != FaultDefect.LeasesAreKept)
                {
                    var (epoch, worker, phase) = release.Lease;
                    Table(worker.WorkerId, phase).Release(Key(request, epoch));
                }

                break;
            case Dispatch dispatch:
                SendParts(request, dispatch.Plan, queue);
                break;
            case Abort abort:
                foreach (var worker in Parties(abort.Plan))
                    worker.Control?.Send(() => worker.Local(0, () => worker.Abort(Key(request, abort.Plan.Epoch))));
                break;
            case DispatchMigration migrate:
                if (!TryMigrate(request, migrate))
                {
                    queue.Enqueue(new PlanRefused(
                        world.UtcNow, migrate.Plan, [migrate.Plan.Decode], ErrorCode.WorkerLost, "a link is gone"));
                }

                break;
            case RevokeMigration revoke:
                if (TryRevoke(request, revoke.Plan.Epoch))
                    queue.Enqueue(new MigrationRevoked(world.UtcNow, revoke.Plan.Epoch));
                break;
            case AbortMigration abort:
                TryRevoke(request, abort.Plan.Epoch);
                foreach (var worker in Parties(abort.Plan))
                    worker.Control?.Send(() => worker.Local(0, () => worker.Abort(Key(request, abort.Plan.Epoch))));
                break;
            case TellFailure or PersistRecord:
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(effect), effect, "An effect without a performer.");
        }
    }

    private RequestEvent Route(SimulatedRequest request, ChooseRoute choose)
    {
        var table = new RouteTable();
        foreach (var worker in world.Workers) table.Add(slot => Candidate(slot, worker));
        var query = new RouteRequest
        {
            PrefillTokens = request.Prompt.Length + request.Stream.Count,
            ContextTokens = request.Prompt.Length + request.MaxOutputTokens,
            Excluded = choose.Excluded,
        };
        var choice = _policy.Choose(query, table);
        var why = _policy.Explain(query, choice, table);
        return choice.Refusal is { } code
            ? new RouteMissing(world.UtcNow, choose.Epoch, code, why)
            : new RouteFound(world.UtcNow, new RoutePlan(
                choose.Epoch, choice.Prefill!.Worker, choice.Decode!.Worker, 0, why));
    }

    private static RouteWorker Candidate(int slot, SimulatedWorker worker) => new()
    {
        Slot = slot,
        Worker = worker.Identity,
        Role = worker.Role,
        State = worker.Control is null ? WorkerState.Lost : WorkerState.Ready,
        TotalBlocks = worker.Pool.TotalBlocks,
        BlockTokens = FaultWorld.BlockTokens,
        MaxContextTokens = int.MaxValue,
        AvailableBlocks = worker.Pool.AvailableBlocks,
        RunningSequences = worker.SequenceCount,
    };

    private RequestEvent Acquire(SimulatedRequest request, RoutePlan plan)
    {
        foreach (var hold in LeaseHold.Of(plan))
        {
            var life = world.Cluster.RequestTimeout;
            var grant = Table(hold.Worker.WorkerId, hold.Phase)
                .Grant(Key(request, plan.Epoch), hold.Worker.Incarnation, 1, world.UtcNow, life);
            if (grant is null)
            {
                return new PlanRefused(
                    world.UtcNow, plan, [hold.Worker], ErrorCode.WorkerLost, $"{hold.Worker} grants no lease");
            }
        }

        return new LeasesGranted(world.UtcNow, plan);
    }

    private void SendParts(SimulatedRequest request, RoutePlan plan, Queue<RequestEvent> queue)
    {
        (request.StreamEpoch, request.Successor) = (plan.Epoch, null);
        var gone = Parties(plan).Where(w => w.Control is null).Select(w => w.Identity).ToImmutableArray();
        if (gone.Length > 0)
        {
            queue.Enqueue(new PlanRefused(world.UtcNow, plan, gone, ErrorCode.WorkerLost, "a link is gone"));
            return;
        }

        foreach (var worker in Parties(plan))
        {
            var part = !plan.NeedsHandoff ? SequencePart.Whole
                : worker.Id == plan.Prefill.WorkerId ? SequencePart.Prefill : SequencePart.Decode;
            var start = new StartCommand(
                Key(request, plan.Epoch), part, request.Prompt, [.. request.Stream], request.MaxOutputTokens,
                part == SequencePart.Decode ? plan.Prefill.WorkerId : null);
            worker.Control!.Send(() => worker.Local(0, () => worker.Start(start)));
        }

        MayWishElsewhere(request);
    }

    private IEnumerable<SimulatedWorker> Parties(RoutePlan plan) =>
        new[] { plan.Prefill, plan.Decode }.Distinct().Select(w => world.Worker(w.WorkerId));

    private LeaseTable Table(string worker, WorkerPhase phase)
    {
        if (!_leases.TryGetValue((worker, phase), out var table)) _leases[(worker, phase)] = table = new LeaseTable();
        return table;
    }

    private static SequenceKey Key(SimulatedRequest request, int epoch) => new(request.Id, 0, epoch);
}
