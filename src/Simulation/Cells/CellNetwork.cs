namespace Krewe.Simulation;

/// <summary>
/// KV on its way between workers. Every worker has one way out and one way in; flows share each of them equally, and a
/// flow is as fast as the slower of its two shares. What one flow cannot use of its share is not given to others: a
/// little pessimistic, but a change touches only flows of the same two workers.
/// </summary>
internal sealed class CellNetwork(int workers, double bytesPerSecond, EventHeap events, int flowEndKind)
{
    private readonly List<int>[] _out = NewLists(workers);
    private readonly List<int>[] _in = NewLists(workers);
    private Flow[] _flows = new Flow[256];

    /// <summary>Bytes that have arrived.</summary>
    public double CarriedBytes { get; private set; }

    /// <summary>Makes a flow known; nothing travels yet.</summary>
    public void Open(int id, int from, int to)
    {
        while (id >= _flows.Length) Array.Resize(ref _flows, 2 * _flows.Length);
        ref var flow = ref _flows[id];
        flow = new Flow { From = from, To = to, Version = flow.Version + 1 };
    }

    /// <summary>More bytes of the flow are ready to travel.</summary>
    public void Add(int id, double bytes)
    {
        ref var flow = ref _flows[id];
        if (flow.Moving)
        {
            Settle(ref flow);
            flow.Bytes += bytes;
            Schedule(id);
            return;
        }

        flow.Bytes = bytes;
        flow.Moving = true;
        flow.SinceNs = events.NowNs;
        _out[flow.From].Add(id);
        _in[flow.To].Add(id);
        Reshare(flow.From, flow.To);
    }

    /// <summary>
    /// The flow's event came: true when its bytes have all arrived, false when a later decision overtook the event.
    /// </summary>
    public bool TryEnd(int id, int version)
    {
        ref var flow = ref _flows[id];
        if (!flow.Moving || version != flow.Version) return false;
        CarriedBytes += flow.Bytes;
        Stop(id);
        return true;
    }

    /// <summary>Nothing of the flow travels.</summary>
    public bool IsIdle(int id) => !_flows[id].Moving;

    /// <summary>Gives up what is on its way.</summary>
    public void Close(int id)
    {
        if (id < _flows.Length && _flows[id].Moving) Stop(id);
    }

    private void Stop(int id)
    {
        ref var flow = ref _flows[id];
        flow.Moving = false;
        flow.Scheduled = false;
        flow.Bytes = flow.Rate = 0;
        flow.Version++;
        _out[flow.From].Remove(id);
        _in[flow.To].Remove(id);
        Reshare(flow.From, flow.To);
    }

    private void Reshare(int from, int to)
    {
        foreach (var id in _out[from]) Refresh(id);
        foreach (var id in _in[to])
        {
            if (_flows[id].From != from) Refresh(id);
        }
    }

    private void Refresh(int id)
    {
        ref var flow = ref _flows[id];
        Settle(ref flow);
        var rate = bytesPerSecond / Math.Max(_out[flow.From].Count, _in[flow.To].Count);
        if (rate == flow.Rate && flow.Scheduled) return;
        flow.Rate = rate;
        Schedule(id);
    }

    /// <summary>Counts what has travelled since the rate last changed.</summary>
    private void Settle(ref Flow flow)
    {
        var moved = Math.Min(flow.Bytes, flow.Rate * (events.NowNs - flow.SinceNs) / 1e9);
        flow.Bytes -= moved;
        flow.SinceNs = events.NowNs;
        CarriedBytes += moved;
    }

    private void Schedule(int id)
    {
        ref var flow = ref _flows[id];
        flow.Version++;
        flow.Scheduled = true;
        events.Add(events.NowNs + (long)Math.Ceiling(flow.Bytes / flow.Rate * 1e9), flowEndKind, id, flow.Version);
    }

    private static List<int>[] NewLists(int count) => [.. Enumerable.Range(0, count).Select(_ => new List<int>())];

    private struct Flow
    {
        public int From;
        public int To;
        public double Bytes;
        public double Rate;
        public long SinceNs;
        public bool Moving;
        public bool Scheduled;
        public int Version;
    }
}
