using Krewe.Abstractions;
using Krewe.Control.Routing;

namespace Krewe.Control.Tests.Routing;

/// <summary>Small clusters, written down in one line a worker.</summary>
internal static class RouteWorld
{
    public static RouteTable Table(params Func<int, RouteWorker>[] workers)
    {
        var table = new RouteTable();
        foreach (var worker in workers) table.Add(worker);
        return table;
    }

    public static Func<int, RouteWorker> Worker(string id, WorkerRole role, Action<RouteWorker>? change = null) =>
        slot =>
        {
            var worker = new RouteWorker
            {
                Slot = slot,
                Worker = new WorkerIncarnation(id, 1),
                Role = role,
                State = WorkerState.Ready,
                TotalBlocks = 100,
                BlockTokens = 16,
                MaxContextTokens = 1024,
                AvailableBlocks = 100,
            };
            change?.Invoke(worker);
            return worker;
        };

    public static Func<int, RouteWorker> Prefill(string id, Action<RouteWorker>? change = null) =>
        Worker(id, WorkerRole.Prefill, change);

    public static Func<int, RouteWorker> Decode(string id, Action<RouteWorker>? change = null) =>
        Worker(id, WorkerRole.Decode, change);

    public static Func<int, RouteWorker> Mixed(string id, Action<RouteWorker>? change = null) =>
        Worker(id, WorkerRole.Mixed, change);

    public static RouteRequest Request(int prefillTokens, int contextTokens) =>
        new() { PrefillTokens = prefillTokens, ContextTokens = contextTokens };

    public static (string Prefill, string Decode) Ids(this RouteChoice choice) =>
        (choice.Prefill!.Worker.WorkerId, choice.Decode!.Worker.WorkerId);
}
