using System.Runtime.InteropServices;
using Krewe.Abstractions;
using Krewe.Control.Kv;

namespace Krewe.Control.KvEvents;

/// <summary>
/// What a worker tells of its KV: the newest events in a ring, numbered without a gap, and beside it what all events
/// together amount to. Who has read too slowly gets that instead of the events: memory stays bounded whoever reads.
/// Safe for use from any thread.
/// </summary>
/// <param name="ringEvents">Events kept; a reader further behind gets a snapshot.</param>
public sealed class KvEventLog(int ringEvents = 1 << 15)
{
    private const byte HeadBit = 0x80;

    private readonly Lock _gate = new();
    private readonly KvChange[] _ring = new KvChange[ringEvents];
    private readonly Dictionary<PrefixHash, byte> _resident = [];
    private ulong _next = 1;

    /// <summary>Number of the next event; the first has 1.</summary>
    public ulong Next
    {
        get
        {
            lock (_gate) return _next;
        }
    }

    /// <summary>Blocks that are in at least one tier.</summary>
    public int Blocks
    {
        get
        {
            lock (_gate) return _resident.Count;
        }
    }

    /// <summary>Adds an event, unless it says nothing new: tells of a block twice do no harm to anybody.</summary>
    public void Add(KvChange change)
    {
        lock (_gate)
        {
            ref var tiers = ref CollectionsMarshal.GetValueRefOrAddDefault(_resident, change.Hash, out _);
            if (change.IsGroupHead) tiers |= HeadBit;
            var before = tiers;
            if (change.Kind == KvChangeKind.Stored) tiers |= Bit(change.Tier);
            else tiers &= (byte)~Bit(change.Tier);
            if (change.Kind == KvChangeKind.Moved) tiers |= Bit(change.To);
            var isNews = tiers != before;
            var isHead = (tiers & HeadBit) != 0;
            if ((tiers & ~HeadBit) == 0) _resident.Remove(change.Hash);
            if (!isNews) return;
            // Only the engine knows that a block is a group's first; the tiers below are told of it by this.
            _ring[_next % (ulong)ringEvents] = change with { IsGroupHead = isHead };
            _next++;
        }
    }

    /// <summary>
    /// Copies events from number <paramref name="first"/> on; null when some of them are no longer in the ring.
    /// </summary>
    public KvChange[]? TryRead(ulong first, int max)
    {
        lock (_gate)
        {
            if (first == 0 || first > _next || _next - first > (ulong)ringEvents) return null;
            var events = new KvChange[Math.Min(max, (int)(_next - first))];
            for (var i = 0; i < events.Length; i++) events[i] = _ring[(first + (ulong)i) % (ulong)ringEvents];
            return events;
        }
    }

    /// <summary>All blocks in all tiers as events, and the number of the first event that is not in them.</summary>
    public (KvChange[] Blocks, ulong Next) Snapshot()
    {
        lock (_gate)
        {
            var blocks = new List<KvChange>(_resident.Count);
            foreach (var (hash, tiers) in _resident)
            {
                for (var tier = KvTier.Device; tier <= KvTier.Disk; tier++)
                {
                    if ((tiers & Bit(tier)) == 0) continue;
                    blocks.Add(new KvChange(
                        KvChangeKind.Stored, tier, hash, IsGroupHead: (tiers & HeadBit) != 0));
                }
            }

            return ([.. blocks], _next);
        }
    }

    private static byte Bit(KvTier tier) => (byte)(1 << (int)tier);
}
