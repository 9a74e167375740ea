using System.Diagnostics.CodeAnalysis;

namespace Krewe.Control.Admission;

/// <summary>
/// Requests that wait to be dispatched. Strict priorities; inside one, tenants share as <see cref="Fairness"/> says;
/// inside a tenant, <see cref="QueueOrder"/>. Deterministic. Not thread-safe.
/// </summary>
/// <param name="order">Within a tenant.</param>
/// <param name="fairness">Between tenants.</param>
/// <param name="quantumTokens">A turn's tokens, for a weight of 1.</param>
/// <param name="claimTokens">What a tenant keeps of a share that it did not use, for a weight of 1: so many tokens of a
/// burst go before those of tenants that use more than theirs.</param>
public sealed class WaitingLine(
    QueueOrder order, Fairness fairness, int quantumTokens = 4096, int claimTokens = 0)
{
    private readonly SortedList<int, Band> _bands = new(Comparer<int>.Create((a, b) => b.CompareTo(a)));
    private readonly Dictionary<string, double> _served = new(StringComparer.Ordinal);
    private readonly HashSet<string> _waiting = new(StringComparer.Ordinal);
    private long _entries;

    // What the last one that left had been served: whoever finds nobody waiting starts from there.
    private double _floor = double.NegativeInfinity;

    public int Count => _waiting.Count;

    /// <summary>Tokens over weight that the tenant was charged for, and forgiven up to; only differences mean anything.
    /// </summary>
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
            // Whoever was away has no claim on what it did not use, or a small one: it starts where the least served
            // one is, or was when nobody waited any more.
            var floor = band.Tenants.Count > 0 ? band.Tenants.Keys.Min(ServedOf) : _floor;
            _served[tenant] = Math.Max(ServedOf(tenant), floor - claimTokens);
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
            if (TryTake(band, null, out entry)) return true;
            _bands.RemoveAt(0);
        }

        entry = null;
        return false;
    }

    /// <summary>The next one of these tenants, the least served first, whatever the fairness.</summary>
    public bool TryDequeue(Predicate<string> tenants, [NotNullWhen(true)] out QueueEntry? entry)
    {
        foreach (var band in _bands.Values)
        {
            if (TryTake(band, tenants, out entry)) return true;
        }

        entry = null;
        return false;
    }

    /// <summary>Output tokens of a tenant's running request: they count as its prompt did.</summary>
    public void Charge(string tenant, double tokens, double weight = 1) =>
        _served[tenant] = ServedOf(tenant) + (tokens / weight);

    /// <summary>
    /// Others wait, each was served more than this tenant, and each has no fewer waiting: it is within its share. One
    /// that waits alone is not: it may be the one that floods. Nor is a flood that begins, whatever claim it has kept.
    /// </summary>
    public bool IsWithinShare(string tenant)
    {
        var others = _bands.Values.SelectMany(band => band.Tenants.Keys).Where(other => other != tenant).ToList();
        return others.Count > 0 && others.TrueForAll(other =>
            ServedOf(other) > ServedOf(tenant) && WaitingOf(other) >= WaitingOf(tenant));
    }

    private int WaitingOf(string tenant) =>
        _bands.Values.Sum(band => band.Tenants.TryGetValue(tenant, out var line) ? line.Requests.Count : 0);

    private bool TryTake(Band band, Predicate<string>? tenants, [NotNullWhen(true)] out QueueEntry? entry)
    {
        while (band.Tenants.Count > 0)
        {
            var tenant = fairness == Fairness.DeficitRoundRobin && tenants is null
                ? NextInTurn(band)
                : LeastServed(band, tenants);
            if (tenant is null) break;
            var line = band.Tenants[tenant];
            if (!TryPeek(line, out entry))
            {
                Leave(band, tenant);
                continue;
            }

            line.Requests.Dequeue();
            _waiting.Remove(entry.RequestId);
            line.Deficit -= entry.Tokens;
            _floor = Math.Max(_floor, ServedOf(tenant));
            Charge(tenant, entry.Tokens, entry.Weight);
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

    private string? LeastServed(Band band, Predicate<string>? tenants)
    {
        string? least = null;
        foreach (var tenant in band.Tenants.Keys)
        {
            if (tenants?.Invoke(tenant) == false) continue;
            if (least is null || Compare(band, tenant, least) < 0) least = tenant;
        }

        return least;
    }

    /// <summary>Of two that were served alike, the one with fewer requests: it is not the one that floods.</summary>
    private int Compare(Band band, string a, string b)
    {
        var served = ServedOf(a).CompareTo(ServedOf(b));
        if (served != 0) return served;
        var count = band.Tenants[a].Requests.Count.CompareTo(band.Tenants[b].Requests.Count);
        return count != 0 ? count : string.CompareOrdinal(a, b);
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
            line.Deficit += (long)Math.Ceiling(quantumTokens * first.Weight);
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
