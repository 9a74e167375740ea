using Krewe.Control.Routing;

namespace Krewe.Grains;

/// <summary>Makes a routing table equal to a view of the workers.</summary>
internal static class RouteTableFeed
{
    public static void Follow(RouteTable table, IRoutingPolicy policy, IReadOnlyList<WorkerView> views)
    {
        foreach (var worker in table.Workers.ToArray())
        {
            if (IsKnown(views, worker)) continue;
            policy.Forget(worker.Slot);
            table.Remove(worker.Worker.WorkerId);
        }

        foreach (var view in views)
        {
            if (!table.TryFind(view.Descriptor.Worker.WorkerId, out var worker))
                worker = table.Add(slot => Create(slot, view));
            Update(worker, view);
        }
    }

    private static bool IsKnown(IReadOnlyList<WorkerView> views, RouteWorker worker)
    {
        foreach (var view in views)
        {
            if (view.Descriptor.Worker == worker.Worker) return true;
        }

        return false;
    }

    private static RouteWorker Create(int slot, WorkerView view) => new()
    {
        Slot = slot,
        Worker = view.Descriptor.Worker,
        Role = view.Descriptor.Role,
        TotalBlocks = view.Descriptor.TotalBlocks,
        BlockTokens = view.Descriptor.BlockTokens,
        MaxContextTokens = view.Descriptor.MaxContextTokens,
    };

    private static void Update(RouteWorker worker, WorkerView view)
    {
        worker.State = view.State;
        worker.AvailableBlocks = view.AvailableBlocks;
        worker.RunningSequences = view.RunningSequences;
        worker.WaitingSequences = view.WaitingSequences;
        worker.WaitingTokens = view.WaitingTokens;
        worker.DispatchedSequences = view.DispatchedSequences;
        worker.DispatchedTokens = view.DispatchedTokens;
    }
}
