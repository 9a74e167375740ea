using System.Collections.Immutable;
using Krewe.Control.Routing;

namespace Krewe.Grains;

/// <summary>
/// Keeps a routing table equal to the view of the workers. A view is immutable, so an unchanged one is not read again:
/// following a thousand quiet workers costs a microsecond.
/// </summary>
/// <remarks>
/// What was chosen is counted in the table at once and replaced by the worker's next view: that of its dispatch, some
/// milliseconds later, or, when the choice came to nothing, that of the next load report.
/// </remarks>
internal sealed class RouteTableFeed(RouteTable table, IRoutingPolicy policy, PrefixDirectory prefixes)
{
    /// <summary>1 GB/s: less than TCP gives on one host, where others use it too.</summary>
    private const double AssumedLinkBytesPerMs = 1e6;

    private const double AssumedLinkLatencyMs = 2;

    private readonly List<Entry> _entries = [];

    /// <param name="views">In the order of the workers' ids.</param>
    public void Follow(ImmutableArray<WorkerView> views)
    {
        if (!IsSameSet(views)) Rebuild(views);
        for (var i = 0; i < views.Length; i++)
        {
            var entry = _entries[i];
            if (ReferenceEquals(entry.View, views[i])) continue;
            Update(entry, views[i]);
        }
    }

    private bool IsSameSet(ImmutableArray<WorkerView> views)
    {
        if (views.Length != _entries.Count) return false;
        for (var i = 0; i < views.Length; i++)
        {
            if (!ReferenceEquals(views[i].Descriptor, _entries[i].View?.Descriptor)) return false;
        }

        return true;
    }

    private void Rebuild(ImmutableArray<WorkerView> views)
    {
        var old = _entries.ToDictionary(entry => entry.Worker.Worker);
        _entries.Clear();
        foreach (var view in views)
        {
            if (old.Remove(view.Descriptor.Worker, out var known) && known.View?.Descriptor == view.Descriptor)
            {
                _entries.Add(known);
                continue;
            }

            if (known is not null) Leave(known);
            var worker = table.Add(slot => Create(slot, view));
            prefixes.Attach(worker.Worker, worker.Slot);
            _entries.Add(new Entry(worker));
        }

        foreach (var gone in old.Values) Leave(gone);
    }

    private void Leave(Entry entry)
    {
        policy.Forget(entry.Worker.Slot);
        prefixes.Detach(entry.Worker.Slot);
        if (table.TryFind(entry.Worker.Worker.WorkerId, out var current) && current == entry.Worker)
            table.Remove(entry.Worker.Worker.WorkerId);
    }

    private static RouteWorker Create(int slot, WorkerView view) => new()
    {
        Slot = slot,
        Worker = view.Descriptor.Worker,
        Role = view.Descriptor.Role,
        TotalBlocks = view.Descriptor.TotalBlocks,
        BlockTokens = view.Descriptor.BlockTokens,
        MaxContextTokens = view.Descriptor.MaxContextTokens,
        KvBytesPerToken = view.Descriptor.KvBytesPerToken,
        // The worker decides by speeds that it has measured; this only has to be right about what is worth a try.
        PullsPrefixes = view.Descriptor.KvBytesPerToken > 0,
        LinkBytesPerMs = AssumedLinkBytesPerMs,
        LinkLatencyMs = AssumedLinkLatencyMs,
    };

    private static void Update(Entry entry, WorkerView view)
    {
        var worker = entry.Worker;
        entry.View = view;
        worker.State = view.State;
        worker.AvailableBlocks = view.AvailableBlocks;
        worker.RunningSequences = view.RunningSequences;
        worker.WaitingSequences = view.WaitingSequences;
        worker.WaitingTokens = view.WaitingTokens;
        worker.ContextTokens = worker.TakesDecode
            ? (long)(worker.TotalBlocks - view.AvailableBlocks) * worker.BlockTokens
            : 0;
        entry.Meter.Observe(
            view.Steps, view.PrefillTokens, view.DecodeTokens, worker.ContextTokens, view.StepMs);
        worker.Steps = entry.Meter.Costs;
        worker.DispatchedSequences = view.DispatchedSequences;
        worker.DispatchedDecodes = worker.TakesDecode ? view.DispatchedSequences : 0;
        worker.DispatchedTokens = view.DispatchedTokens;
        worker.DispatchedContextTokens = 0;
        worker.DispatchedPrefillMs = worker.Steps.PrefillMs(view.DispatchedTokens, 0, worker.StepBudgetTokens);
    }

    private sealed class Entry(RouteWorker worker)
    {
        public RouteWorker Worker { get; } = worker;

        public WorkerCostMeter Meter { get; } = new();

        public WorkerView? View { get; set; }
    }
}
