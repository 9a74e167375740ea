using Google.Protobuf;
using Krewe.Abstractions.Wire;

namespace Krewe.Workers;

/// <summary>
/// Mappings of other workers' memory, kept between links because page tables take time to fill. One that no link has
/// used for a while is let go: it would keep a dead worker's memory alive.
/// </summary>
internal sealed class PeerMemories : IDisposable
{
    private static readonly TimeSpan IdleMax = TimeSpan.FromSeconds(10);

    private readonly Lock _lock = new();
    private readonly Dictionary<ByteString, Entry> _entries = [];
    private readonly TimeProvider _time;
    private readonly ITimer _timer;
    private bool _disposed;

    public PeerMemories(TimeProvider time)
    {
        _time = time;
        _timer = time.CreateTimer(_ => DropIdle(), null, IdleMax, IdleMax);
    }

    /// <summary>A hold on what a greeting offers; null with the reason when it cannot be mapped.</summary>
    public Hold? TryHold(SharedOffer offer, out string reason)
    {
        lock (_lock)
        {
            reason = "the worker stops";
            if (_disposed) return null;
            if (!_entries.TryGetValue(offer.Nonce, out var entry))
            {
                if (!PeerMemory.TryMap(offer, out var memory, out reason)) return null;
                entry = new Entry(memory!);
                _entries.Add(offer.Nonce, entry);
            }

            entry.Links++;
            return new Hold(this, entry);
        }
    }

    /// <summary>Unmaps what no link uses; the others go with their last link.</summary>
    public void Dispose()
    {
        lock (_lock) _disposed = true;
        _timer.Dispose();
        Drop(entry => entry.Links == 0);
    }

    private void DropIdle() =>
        Drop(entry => entry.Links == 0 && _time.GetElapsedTime(entry.LastUse) >= IdleMax);

    private void Drop(Predicate<Entry> condition)
    {
        lock (_lock)
        {
            foreach (var (nonce, entry) in _entries.Where(pair => condition(pair.Value)).ToArray())
            {
                _entries.Remove(nonce);
                entry.Memory.Dispose();
            }
        }
    }

    private void Release(Entry entry)
    {
        lock (_lock)
        {
            entry.Links--;
            entry.LastUse = _time.GetTimestamp();
        }

        if (_disposed) Drop(one => one.Links == 0);
    }

    /// <summary>One link's use of a mapping.</summary>
    internal sealed class Hold(PeerMemories owner, Entry entry) : IDisposable
    {
        private bool _released;

        public PeerMemory Memory => entry.Memory;

        public void Dispose()
        {
            if (!Interlocked.Exchange(ref _released, true)) owner.Release(entry);
        }
    }

    internal sealed class Entry(PeerMemory memory)
    {
        public PeerMemory Memory => memory;

        public int Links { get; set; }

        public long LastUse { get; set; }
    }
}
