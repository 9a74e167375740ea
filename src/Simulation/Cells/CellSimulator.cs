using Krewe.Abstractions;
using Krewe.Control.Steps;

namespace Krewe.Simulation;

/// <summary>
/// One cell in virtual time: production routing, step planner, block pools and prefix caches; step times from a cost
/// model; KV over a network. A run is a pure function of (options, trace): integer ns, events in order of (time,
/// scheduling), every draw from the seed. Single-threaded; run several at once for several policies or rates.
/// </summary>
public sealed partial class CellSimulator
{
    private const int ArrivalKind = 0;
    private const int WakeKind = 1;
    private const int StepEndKind = 2;
    private const int FlowEndKind = 3;
    private const int CommitKind = 4;
    private const int OutageKind = 5;
    private const int RetryKind = 6;

    private readonly CellOptions _options;
    private readonly Trace _trace;
    private readonly IStepCost _cost;
    private readonly EventHeap _events = new();
    private readonly CellNetwork _network;
    private readonly CellRouter _router;
    private readonly List<CellWorker> _workers = [];
    private readonly List<CellLane> _lanes = [];
    private readonly List<CellRequest> _requests = [];
    private readonly Stack<CellRequest> _idle = new();
    private readonly CellRecorder _recorder;
    private readonly StepSnapshot _snapshot = new();
    private readonly StepPlan _plan = new();
    private readonly List<CellPart> _considered = [];
    private readonly Action<CellPart> _grow;
    private readonly double _blockBytes;
    private long _dispatches;
    private int _next;

    public CellSimulator(CellOptions options, Trace trace)
    {
        options.Check();
        _options = options;
        _trace = trace;
        _cost = options.Cost ?? CostModels.For(options.Deployment);
        _grow = Grow;
        _blockBytes = (double)options.BlockTokens * options.Deployment.KvBytesPerToken;
        var capacity = options.CapacityTokens ?? options.Deployment.CapacityTokens();
        var bandwidth = options.NetworkBytesPerSecond
            ?? options.Deployment.Gpu.NetworkBytesPerSecond * options.Deployment.Gpus;
        _network = new CellNetwork(options.Workers, bandwidth, _events, FlowEndKind);
        _recorder = new CellRecorder(trace.Count);
        BuildWorkers(capacity / options.BlockTokens);
        _router = new CellRouter(options, trace, _workers, _cost, bandwidth, capacity);
    }

    /// <summary>Requests that have ended; for progress bars on other threads.</summary>
    public int Ended => _recorder.Ended;

    /// <summary>For tests: no sequence is advanced together with others.</summary>
    internal bool LooksAtEach { get; init; }

    /// <summary>Tokens that were counted together.</summary>
    internal long TokensTogether { get; private set; }

    /// <summary>
    /// Runs to the end of the last request. <see cref="SimulationException"/> when something can never end.
    /// </summary>
    public CellReport Run(CancellationToken cancellation = default)
    {
        if (_options.ClosedLoopClients is { } clients)
        {
            for (var i = 0; i < Math.Min(clients, _trace.Count); i++) _events.Add(0, ArrivalKind, _next++);
        }
        else if (_trace.Count > 0) _events.Add(_trace.Requests[0].ArrivalNs, ArrivalKind, _next++);

        for (var i = 0; i < _options.Outages.Count; i++) _events.Add(_options.Outages[i].AtNs, OutageKind, i);
        var count = 0L;
        while (_recorder.Ended < _trace.Count && _events.TryTake(out var happened))
        {
            if ((++count & 0xFFFF) == 0) cancellation.ThrowIfCancellationRequested();
            Handle(happened);
        }

        if (_recorder.Ended < _trace.Count)
        {
            throw new SimulationException(
                $"{_trace.Count - _recorder.Ended} requests wait for ever: a bug in the simulator; please report the "
                + "trace and the options.");
        }

        CheckIntegrity();
        return _recorder.Build(_options, _trace, _workers, _network, _cost, count, _events.NowNs);
    }

    private void Handle(in SimulatedEvent happened)
    {
        switch (happened.Kind)
        {
            case ArrivalKind:
                Arrive(happened.Subject);
                break;
            case WakeKind:
                _lanes[happened.Subject].Woken = false;
                StartStep(_lanes[happened.Subject]);
                break;
            case StepEndKind:
                if (happened.Version == _lanes[happened.Subject].Version) EndStep(_lanes[happened.Subject]);
                break;
            case FlowEndKind:
                if (_network.TryEnd(happened.Subject, happened.Version))
                    CommitWhenComplete(_requests[happened.Subject]);
                break;
            case CommitKind:
                if (happened.Version == _requests[happened.Subject].Attempt) Commit(_requests[happened.Subject]);
                break;
            case OutageKind:
                Change(_options.Outages[happened.Subject]);
                break;
            case RetryKind:
                if (happened.Version == _requests[happened.Subject].Attempt) Continue(_requests[happened.Subject]);
                break;
            default:
                throw new InvalidOperationException($"No event of kind {happened.Kind} exists.");
        }
    }

    private void BuildWorkers(int blocks)
    {
        for (var i = 0; i < _options.Workers; i++)
        {
            var role = _options.Mode != CellMode.Disagg ? WorkerRole.Mixed
                : i < _options.PrefillWorkers ? WorkerRole.Prefill
                : WorkerRole.Decode;
            var worker = new CellWorker(i, role, blocks);
            _workers.Add(worker);
            worker.Lanes = _options.Mode == CellMode.Split
                ?
                [
                    AddLane(worker, _options.PrefillBudgetTokens, true, _options.PrefillShare),
                    AddLane(worker, _options.MaxRunningSequences, false, 1 - _options.PrefillShare),
                ]
                : [AddLane(worker, BudgetOf(role), true, 1)];
        }
    }

    private int BudgetOf(WorkerRole role) => role == WorkerRole.Prefill || _options.Mode == CellMode.Coloc
        ? _options.PrefillBudgetTokens
        : _options.StepBudgetTokens;

    private CellLane AddLane(CellWorker worker, int budget, bool admits, double share)
    {
        var lane = new CellLane(worker, _lanes.Count, _options.BlockTokens)
        {
            Admits = admits,
            Share = share,
            BudgetTokens = budget,
        };
        _lanes.Add(lane);
        return lane;
    }

    private void Arrive(int index)
    {
        var arrival = _options.ClosedLoopClients is null ? _trace.Requests[index].ArrivalNs : _events.NowNs;
        if (_options.ClosedLoopClients is null && _next < _trace.Count)
            _events.Add(_trace.Requests[_next].ArrivalNs, ArrivalKind, _next++);
        var request = Take();
        request.Begin(index, _trace.Requests[index], _trace, _options.BlockTokens, arrival);
        if (TryDispatch(request)) return;
        _recorder.Reject(request);
        Free(request);
    }

    private bool TryDispatch(CellRequest request)
    {
        if (!_router.TryRoute(request, _events.NowNs, out var prefill, out var decode)) return false;
        request.Attempt++;
        request.Refusals = 0;

        // One output token is the prefill's own: there is nothing to decode and so nothing to hand off.
        request.HandsOff = prefill != decode && request.OutputTokens - request.SampledTokens > 1;
        var order = _dispatches++;
        request.Prefill.Begin(request, prefill, order, grows: !request.HandsOff, pulls: false);
        CountPending(request.Prefill);
        prefill.Waiting.Append(request.Prefill);
        Wake(prefill);
        if (!request.HandsOff) return true;
        request.Decode.Begin(request, decode, order, grows: true, pulls: true);
        CountDecoding(request.Decode);
        decode.Waiting.Append(request.Decode);
        _network.Open(request.Slot, prefill.Index, decode.Index);
        Wake(decode);
        return true;
    }

    private void End(CellRequest request, CellPart part)
    {
        part.Worker.Pool.Release(part.Blocks);
        part.Stage = PartStage.None;
        UncountDecoding(part);
        _router.Ended(request);
        _recorder.Finish(request, _events.NowNs);
        Free(request);
    }

    private CellRequest Take()
    {
        if (_idle.TryPop(out var idle)) return idle;
        var request = new CellRequest(_requests.Count);
        _requests.Add(request);
        return request;
    }

    private void Free(CellRequest request)
    {
        _idle.Push(request);
        if (_options.ClosedLoopClients is not null && _next < _trace.Count)
            _events.Add(_events.NowNs, ArrivalKind, _next++);
    }

    private void Wake(CellWorker worker)
    {
        foreach (var lane in worker.Lanes) Wake(lane);
    }

    // By way of the queue, so that everything that happens at this instant is in the step.
    private void Wake(CellLane lane)
    {
        if (lane.Busy || lane.Woken) return;
        lane.Woken = true;
        _events.Add(_events.NowNs, WakeKind, lane.Index);
    }

    private void CheckIntegrity()
    {
        foreach (var worker in _workers)
        {
            worker.Pool.CheckIntegrity([]);
            worker.Cache.CheckIntegrity();
            if (worker.PendingTokens != 0 || worker.ContextTokens != 0 || worker.DecodingParts != 0)
                throw new InvalidOperationException($"Worker {worker.Index} counts load although nothing runs.");
        }
    }
}
