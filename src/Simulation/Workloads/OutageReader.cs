namespace Krewe.Simulation;

/// <summary>
/// Reads preemption traces: CSV t_ms,event,node with events add and remove (Bamboo's of AWS g4dn). A node that is added
/// takes the lowest worker that is free; what the cell has no worker for is left out.
/// </summary>
public static class OutageReader
{
    /// <summary>
    /// The outages of a cell of <paramref name="workers"/> workers, <paramref name="speed"/> times as fast. Workers
    /// that no node has yet are down from the start.
    /// </summary>
    public static IReadOnlyList<WorkerOutage> Read(string path, int workers, double speed = 1)
    {
        using var lines = new TraceLines(path, new TraceLimits().LineLengthMax);
        var columns = new CsvColumns(lines);
        int time = columns.Require("t_ms"), what = columns.Require("event"), node = columns.Require("node");
        var places = new Dictionary<string, int>(StringComparer.Ordinal);
        var free = new SortedSet<int>(Enumerable.Range(0, workers));
        var outages = new List<WorkerOutage>();
        double? first = null;
        var previous = 0.0;
        while (columns.Next())
        {
            var ms = columns.Number(time);
            if (!(ms >= previous)) throw lines.Bad($"t_ms is {columns.Text(time)}; times must ascend from 0.");
            previous = ms;
            first ??= ms;
            var at = (long)((ms - first.Value) / speed * 1e6);
            var name = columns.Text(node);
            switch (columns.Text(what))
            {
                case "add":
                    if (places.ContainsKey(name)) throw lines.Bad($"node '{name}' is added twice.");
                    if (free.Count == 0) break;
                    places.Add(name, free.Min);
                    free.Remove(free.Min);
                    outages.Add(new WorkerOutage(at, places[name], true));
                    break;
                case "remove":
                    if (!places.Remove(name, out var place)) break;
                    free.Add(place);
                    outages.Add(new WorkerOutage(at, place, false));
                    break;
                default:
                    throw lines.Bad($"event is '{columns.Text(what)}'; it must be add or remove.");
            }
        }

        if (outages.Count == 0) throw lines.Bad("the trace holds no event.");
        var started = outages.TakeWhile(o => o.AtNs == 0 && o.Up).Select(o => o.Worker).ToHashSet();
        var down = Enumerable.Range(0, workers).Where(w => !started.Contains(w))
            .Select(w => new WorkerOutage(0, w, false));
        return [.. down, .. outages];
    }
}
