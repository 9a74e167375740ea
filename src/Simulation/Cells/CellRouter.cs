using System.Globalization;
using Krewe.Abstractions;
using Krewe.Control.Routing;

namespace Krewe.Simulation;

/// <summary>
/// What a silo does in production: keeps the routing table true by load reports, counts dispatches at once, asks the
/// policy. Reports are as old as <see cref="CellOptions.ReportIntervalNs"/> allows.
/// </summary>
internal sealed class CellRouter
{
    private const double OutputEstimateWeight = 0.01;

    private readonly CellOptions _options;
    private readonly IRoutingPolicy _policy;
    private readonly RouteTable _table = new();
    private readonly RouteRequest _query = new();
    private readonly List<CellWorker> _workers;
    private readonly CellWorker[] _bySlot;
    private double _expectedOutput = 256;

    public CellRouter(
        CellOptions options, Trace trace, List<CellWorker> workers, IStepCost cost, double bandwidth, int capacity)
    {
        _options = options;
        _workers = workers;
        _policy = RoutingPolicies.TryCreate(options.Policy, options.Seed, out var policy)
            ? policy
            : throw new SimulationException(
                $"No policy '{options.Policy}'; there are: {string.Join(", ", RoutingPolicies.Names)}.");
        var steps = StepCostFit.Of(cost, capacity);
        _bySlot = new CellWorker[workers.Count];
        foreach (var worker in workers)
        {
            worker.Route = _table.Add(slot => new RouteWorker
            {
                Slot = slot,
                Worker = new WorkerIncarnation(string.Create(CultureInfo.InvariantCulture, $"w{worker.Index:0000}"), 1),
                Role = worker.Role,
                State = WorkerState.Ready,
                TotalBlocks = worker.Pool.TotalBlocks,
                BlockTokens = options.BlockTokens,
                MaxContextTokens = int.MaxValue,
                StepBudgetTokens = worker.Lanes[0].BudgetTokens,
                MaxSequences = options.MaxRunningSequences,
                Steps = steps,
                KvBytesPerToken = options.Deployment.KvBytesPerToken,
                LinkBytesPerMs = bandwidth / 1000,
                LinkLatencyMs = options.HandoffLatencyNs / 1e6,
                AvailableBlocks = worker.Pool.AvailableBlocks,
            });
            _bySlot[worker.Route.Slot] = worker;
        }

        _query.HashBlockTokens = options.BlockTokens;
        _query.TtftSloMs = 1000 * options.Slo.TtftSeconds;
        _query.TpotSloMs = 1000 * options.Slo.TpotSeconds;
        if (trace.HashTokens > 1 && trace.HashTokens % options.BlockTokens != 0)
        {
            throw new SimulationException(
                $"The trace names blocks of {trace.HashTokens} tokens; {options.BlockTokens} does not divide that, so "
                + "equal prefixes could not be told (--block-tokens).");
        }
    }

    /// <summary>Asks the policy and counts its choice; false = refused.</summary>
    public bool TryRoute(CellRequest request, long nowNs, out CellWorker prefill, out CellWorker decode)
    {
        _query.PrefillTokens = request.PromptTokens + request.SampledTokens;
        _query.ContextTokens = request.PromptTokens + request.OutputTokens;
        _query.ExpectedOutputTokens = (int)_expectedOutput;
        _query.NowUs = nowNs / 1000;
        _query.WaitedMs = (nowNs - request.ArrivalNs) / 1e6;

        // What was begun goes on, however late.
        _query.MayRefuse = !request.Continues;
        if (_policy.Prefix == PrefixUse.Hashes) _query.Hashes = request.HashMemory;
        if (_policy.Prefix == PrefixUse.Hits) FindHits(request);
        var choice = _policy.Choose(_query, _table);
        if (choice.IsRefused)
        {
            prefill = decode = null!;
            return false;
        }

        RouteDispatch.Count(_query, choice);
        prefill = _bySlot[choice.Prefill!.Slot];
        decode = _bySlot[choice.Decode!.Slot];
        return true;
    }

    /// <summary>A worker's step has ended: its report is due by time, or because nothing runs any more.</summary>
    public void Report(CellWorker worker, long nowNs)
    {
        var running = worker.RunningParts;
        var waiting = worker.Waiting.Count;
        if (nowNs - worker.ReportedNs < _options.ReportIntervalNs && running + waiting > 0) return;
        worker.ReportedNs = nowNs;
        var route = worker.Route;
        route.ReportedUs = Math.Max(1, nowNs / 1000);
        route.AvailableBlocks = worker.Pool.AvailableBlocks;
        route.RunningSequences = worker.Role == WorkerRole.Prefill ? running : worker.DecodingParts;
        route.WaitingSequences = worker.Role == WorkerRole.Decode ? 0 : waiting;
        route.WaitingTokens = worker.PendingTokens;
        route.WaitingPrefillMs = worker.PendingMs;
        route.ContextTokens = worker.ContextTokens;
        route.ClearDispatched();
    }

    /// <summary>The worker is gone, or a new process of it is there.</summary>
    public void Changed(CellWorker worker)
    {
        worker.Route.State = worker.IsUp ? WorkerState.Ready : WorkerState.Lost;
        worker.Route.ClearDispatched();
        worker.Route.AvailableBlocks = worker.Pool.AvailableBlocks;
        worker.Route.RunningSequences = worker.Route.WaitingSequences = 0;
        worker.Route.WaitingTokens = worker.Route.ContextTokens = 0;
        worker.Route.WaitingPrefillMs = 0;
        _policy.Forget(worker.Route.Slot);
    }

    public void Ended(CellRequest request) =>
        _expectedOutput += OutputEstimateWeight * (request.OutputTokens - _expectedOutput);

    private void FindHits(CellRequest request)
    {
        _query.Hits.Clear();
        if (request.Hashes.Length == 0 || !_options.PrefixCache) return;
        foreach (var worker in _workers)
        {
            var blocks = worker.Cache.Peek(request.Hashes).Blocks;
            if (blocks > 0) _query.Hits.Set(worker.Route.Slot, new PrefixHit(blocks * _options.BlockTokens, 0, 0));
        }
    }
}
