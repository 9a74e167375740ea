using System.Diagnostics.CodeAnalysis;

namespace Krewe.Control.Admission;

/// <summary>
/// Requests that wait to be dispatched. Strict priorities; inside one, tenants share as <see cref="Fairness"/> says;
/// inside a tenant, <see cref="QueueOrder"/>. Deterministic. Not thread-safe.
/// </summary>
public sealed class WaitingLine(QueueOrder order, Fairness fairness, int quantumTokens = 4096)
{
    private readonly SortedList<int, Band> _bands = new(Comparer<int>.Create((a, b) => b.CompareTo(a)));
    private readonly Dictionary<string, double> _served = new(StringComparer.Ordinal);
    private readonly HashSet<string> _waiting = new(StringComparer.Ordinal);
    private long _entries;

    public int Count => _waiting.Count;

    /// <summary>Tokens that the tenant was charged for, and forgiven up to; only differences mean anything.</summary>
    public double ServedOf(string tenant) => _served.GetValueOrDefault(tenant);

    public void Enqueue(QueueEntry entry)
    {
        ArgumentNullException.ThrowIfNull(entry);
        if (!_waiting.Add(entry.RequestId))
            throw new ArgumentException($"Request {entry.RequestId} waits already.", nameof(entry));
        if (!_bands.TryGetValue(entry.Priority, out var band)) _bands.Add(entry.Priority, band = new Band());
        var tenant = fairness == Fairness.None ? "" : entry.Tenant;
        if (!band.Tenants.TryGetValue(tenant, out var line))
        {
            // Whoever was away has no claim on what it did not use: it starts where the least served one is.
            if (band.Tenants.Count > 0)
                _served[tenant] = Math.Max(ServedOf(tenant), band.Tenants.Keys.Min(ServedOf));
            band.Tenants.Add(tenant, line = new Line());
            band.Turns.Enqueue(tenant);
        }

        line.Requests.Enqueue(entry, (entry.Key(order), _entries++));
    }

    /// <summary>The client has gone: it is passed over when its turn comes.</summary>
    public bool Cancel(string requestId) => _waiting.Remove(requestId);

    /// <summary>The next one; its prompt is charged to its tenant.</summary>
    public bool TryDequeue([NotNullWhen(true)] out QueueEntry? entry)
    {
        while (_bands.Count > 0)
        {
            var band = _bands.Values[0];
            if (TryTake(band, out entry)) return true;
            _bands.RemoveAt(0);
        }

        entry = null;
        return false;
    }

    /// <summary>Output tokens of a tenant's running request: they count as its prompt did.</summary>
    public void Charge(string tenant, int tokens) => _served[tenant] = ServedOf(tenant) + tokens;

    private bool TryTake(Band band, [NotNullWhen(true)] out QueueEntry? entry)
    {
        while (band.Tenants.Count > 0)
        {
            var tenant = fairness == Fairness.DeficitRoundRobin ? NextInTurn(band) : LeastServed(band);
            var line = band.Tenants[tenant];
            if (!TryPeek(line, out entry))
            {
                Leave(band, tenant);
                continue;
            }

            line.Requests.Dequeue();
            _waiting.Remove(entry.RequestId);
            line.Deficit -= entry.Tokens;
            Charge(tenant, entry.Tokens);
            if (!TryPeek(line, out _)) Leave(band, tenant);
            return true;
        }

        entry = null;
        return false;
    }

    /// <summary>The line's first that still waits.</summary>
    private bool TryPeek(Line line, [NotNullWhen(true)] out QueueEntry? entry)
    {
        while (line.Requests.TryPeek(out entry, out _))
        {
            if (_waiting.Contains(entry.RequestId)) return true;
            line.Requests.Dequeue();
        }

        return false;
    }

    private string LeastServed(Band band)
    {
        string? least = null;
        foreach (var tenant in band.Tenants.Keys)
        {
            var isLess = least is null || ServedOf(tenant) < ServedOf(least)
                || (ServedOf(tenant) == ServedOf(least) && string.CompareOrdinal(tenant, least) < 0);
            if (isLess) least = tenant;
        }

        return least!;
    }

    /// <summary>The tenant at the head of the turns once its deficit covers its first request.</summary>
    private string NextInTurn(Band band)
    {
        while (true)
        {
            var tenant = band.Turns.Peek();
            if (!band.Tenants.TryGetValue(tenant, out var line))
            {
                band.Turns.Dequeue();
                continue;
            }

            if (!TryPeek(line, out var first) || first.Tokens <= line.Deficit) return tenant;
            line.Deficit += quantumTokens;
            band.Turns.Enqueue(band.Turns.Dequeue());
        }
    }

    private static void Leave(Band band, string tenant)
    {
        // A deficit is not kept: an empty line has no claim.
        band.Tenants.Remove(tenant);
        var turns = band.Turns.Count;
        for (var i = 0; i < turns; i++)
        {
            var other = band.Turns.Dequeue();
            if (other != tenant) band.Turns.Enqueue(other);
        }
    }

    /// <summary>All requests of one priority.</summary>
    private sealed class Band
    {
        public Dictionary<string, Line> Tenants { get; } = new(StringComparer.Ordinal);

        public Queue<string> Turns { get; } = new();
    }

    /// <summary>One tenant's requests of one priority.</summary>
    private sealed class Line
    {
        public PriorityQueue<QueueEntry, (double Key, long Number)> Requests { get; } = new();

        public long Deficit { get; set; }
    }
}
