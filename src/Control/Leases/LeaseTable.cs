using System.Collections.Immutable;
using Krewe.Abstractions;

namespace Krewe.Control.Leases;

/// <summary>
/// Leases that attempts hold on one worker. One lease a key; none outlives its time unrenewed, and none outlives the
/// incarnation that it was granted on. Pure: times come in.
/// </summary>
public sealed class LeaseTable
{
    private readonly Dictionary<SequenceKey, LeaseGrant> _byKey = [];

    /// <summary>
    /// By time, so that expiry looks only at what is due. The key breaks ties: no two entries are equal.
    /// </summary>
    private readonly SortedSet<Due> _byTime = [];

    /// <summary>The process that leases are granted on; null while there is none.</summary>
    public ulong? Incarnation { get; private set; }

    public int Count => _byKey.Count;

    /// <summary>When <see cref="Expire"/> has something to do next; null = no lease.</summary>
    public DateTimeOffset? NextExpiry => _byTime.Count == 0 ? null : _byTime.Min.At;

    /// <summary>All leases, the first to expire first.</summary>
    public ImmutableArray<LeaseGrant> Leases => [.. _byTime.Select(due => _byKey[due.Key])];

    /// <summary>
    /// The worker's process of now. Another one than before voids every lease: what they protected is gone.
    /// </summary>
    /// <returns>The voided leases.</returns>
    public ImmutableArray<LeaseGrant> Attach(ulong incarnation)
    {
        if (Incarnation == incarnation)
            return [];
        Incarnation = incarnation;
        return Clear();
    }

    /// <summary>The process is gone: voids every lease and grants none until the next <see cref="Attach"/>.</summary>
    /// <returns>The voided leases.</returns>
    public ImmutableArray<LeaseGrant> VoidIncarnation()
    {
        Incarnation = null;
        return Clear();
    }

    /// <summary>One silo has lost its link to the process: voids what that silo's attempts hold.</summary>
    /// <returns>The voided leases.</returns>
    public ImmutableArray<LeaseGrant> VoidSilo(string silo)
    {
        ImmutableArray<LeaseGrant> voided = [.. Leases.Where(lease => lease.Silo == silo)];
        foreach (var lease in voided) Release(lease.Key);
        return voided;
    }

    /// <summary>Grants the lease of <paramref name="key"/>, or renews it, also with another number of blocks.</summary>
    /// <param name="blocks">Not negative.</param>
    /// <param name="life">Positive.</param>
    /// <param name="silo">Over whose link the attempt runs.</param>
    /// <returns>Null when <paramref name="incarnation"/> is not the process of now.</returns>
    public LeaseGrant? Grant(SequenceKey key, ulong incarnation, int blocks, DateTimeOffset now, TimeSpan life,
        string silo = "")
    {
        ArgumentOutOfRangeException.ThrowIfNegative(blocks);
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(life, TimeSpan.Zero);
        if (Incarnation != incarnation)
            return null;
        Release(key);
        var grant = new LeaseGrant(key, blocks, now + life, silo);
        _byKey.Add(key, grant);
        _byTime.Add(new Due(grant.ExpiresAt, key));
        return grant;
    }

    public bool Holds(SequenceKey key) => _byKey.ContainsKey(key);

    /// <returns>False when there was no such lease.</returns>
    public bool Release(SequenceKey key)
    {
        if (!_byKey.Remove(key, out var grant))
            return false;
        _byTime.Remove(new Due(grant.ExpiresAt, key));
        return true;
    }

    /// <summary>Takes out what was not renewed in time.</summary>
    public ImmutableArray<LeaseGrant> Expire(DateTimeOffset now)
    {
        var expired = ImmutableArray.CreateBuilder<LeaseGrant>();
        while (_byTime.Count > 0 && _byTime.Min is var due && due.At <= now)
        {
            expired.Add(_byKey[due.Key]);
            Release(due.Key);
        }

        return expired.ToImmutable();
    }

    /// <summary>Checks both indexes against each other.</summary>
    /// <exception cref="InvalidOperationException">Names what does not fit.</exception>
    public void CheckIntegrity()
    {
        if (_byKey.Count != _byTime.Count)
            throw new InvalidOperationException($"{_byKey.Count} leases by key, but {_byTime.Count} by time.");
        if (Incarnation is null && _byKey.Count > 0)
            throw new InvalidOperationException($"{_byKey.Count} leases on a worker that is not there.");
        foreach (var (key, grant) in _byKey)
        {
            if (grant.Key != key)
                throw new InvalidOperationException($"The lease of {grant.Key} is filed under {key}.");
            if (!_byTime.Contains(new Due(grant.ExpiresAt, key)))
                throw new InvalidOperationException($"The lease of {key} would never expire.");
        }
    }

    private ImmutableArray<LeaseGrant> Clear()
    {
        var voided = Leases;
        _byKey.Clear();
        _byTime.Clear();
        return voided;
    }

    private readonly record struct Due(DateTimeOffset At, SequenceKey Key) : IComparable<Due>
    {
        public int CompareTo(Due other)
        {
            var order = At.CompareTo(other.At);
            if (order == 0)
                order = string.CompareOrdinal(Key.RequestId, other.Key.RequestId);
            if (order == 0)
                order = Key.Choice.CompareTo(other.Key.Choice);
            return order != 0 ? order : Key.Epoch.CompareTo(other.Key.Epoch);
        }
    }
}
