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

    /// <summary>For how long a holder whose memory could not be had is not asked again.</summary>
    private static readonly TimeSpan RefusalMax = TimeSpan.FromSeconds(30);

    private readonly object _lock = new();
    private readonly Dictionary<ByteString, Entry> _entries = [];

    /// <summary>Being opened outside the lock; its pulse tells of their end.</summary>
    private readonly HashSet<ByteString> _opening = [];

    private readonly Dictionary<ByteString, (string Reason, long At)> _refused = [];
    private readonly TimeSpan? _patience;
    private readonly TimeProvider _time;
    private readonly IDeviceKvArena? _device;
    private readonly string _folder;
    private readonly ITimer _timer;
    private bool _disposed;

    /// <param name="device">The own arena where it is GPUs': peers' are opened by the same.</param>
    /// <param name="folder">Where holders' sockets are looked for; null: in the usual place.</param>
    /// <param name="patience">For how long a holder's answer is waited for; null: the usual time.</param>
    public PeerMemories(
        TimeProvider time, IDeviceKvArena? device = null, string? folder = null, TimeSpan? patience = null)
    {
        _patience = patience;
        (_time, _device, _folder) = (time, device, folder ?? MeetingSocket.UsualFolder);
        _timer = time.CreateTimer(_ => DropIdle(), null, IdleMax, IdleMax);
    }

    /// <summary>
    /// A hold on what a greeting offers; null with the reason when it cannot be mapped. It may wait for the holder, but
    /// for no other one.
    /// </summary>
    public Hold? TryHold(SharedOffer offer, out string reason)
    {
        // Of every greeting: that of a later link may name another slot of the same memory.
        reason = $"it has no fence {offer.FenceSlot}";
        if (offer.FenceSlot >= SharedMemory.FencesMax) return null;
        lock (_lock)
        {
            while (true)
            {
                reason = "the worker stops";
                if (_disposed) return null;
                if (_entries.TryGetValue(offer.Nonce, out var known)) return Held(known);
                if (IsRefused(offer.Nonce, out reason)) return null;
                if (_opening.Add(offer.Nonce)) break;
                Monitor.Wait(_lock);
            }
        }

        reason = "it could not be opened";
        Hold? hold = null;
        try
        {
            if (Open(offer, out reason) is { } opened) hold = Held(opened);
        }
        finally
        {
            lock (_lock)
            {
                _opening.Remove(offer.Nonce);
                if (hold is not null) _entries.Add(offer.Nonce, hold.Entry);
                else _refused[offer.Nonce] = (reason, _time.GetTimestamp());
                Monitor.PulseAll(_lock);
            }
        }

        return hold;
    }

    /// <summary>Unmaps what no link uses; the others go with their last link.</summary>
    public void Dispose()
    {
        lock (_lock) _disposed = true;
        _timer.Dispose();
        Drop(entry => entry.Links == 0);
    }

    private Hold Held(Entry entry)
    {
        entry.Links++;
        return new Hold(this, entry);
    }

    private bool IsRefused(ByteString nonce, out string reason)
    {
        foreach (var (old, refusal) in _refused)
        {
            // Removing from it does not end a dictionary's enumeration.
            if (_time.GetElapsedTime(refusal.At) >= RefusalMax) _refused.Remove(old);
        }

        var refused = _refused.TryGetValue(nonce, out var known);
        reason = known.Reason;
        return refused;
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
                try
                {
                    entry.Device?.Dispose();
                }
                finally
                {
                    entry.Memory.Dispose();
                }
            }
        }
    }

    private Entry? Open(SharedOffer offer, out string reason)
    {
        reason = "it lies on a GPU, and this worker's KV does not";
        if (offer.Devices.Count > 0 && _device is null) return null;
        // The file first: its nonce says that the peer is on this host.
        FetchedFiles? files = null;
        if (!PeerMemory.TryMap(offer, null, out var memory, out reason))
        {
            files = FetchedFiles.TryFetch(offer, _folder, out var why, _patience);
            if (files is null || !PeerMemory.TryMap(offer, files.Head, out memory, out why))
            {
                files?.Dispose();
                reason = $"{reason}; {why}";
                return null;
            }
        }

        Entry? opened = null;
        try
        {
            using (files)
            {
                if (offer.Devices.Count == 0) opened = new Entry(memory!, null);
                else if (OpenDevices(offer, files, out reason) is { } device) opened = new Entry(memory!, device);
            }
        }
        finally
        {
            if (opened is null) memory!.Dispose();
        }

        return opened;
    }

    private IPeerDevice? OpenDevices(SharedOffer offer, FetchedFiles? files, out string reason)
    {
        if (files is not null || offer.Devices.All(device => !device.IpcHandle.IsEmpty))
            return _device!.TryOpen(offer, files is null ? [] : files.Devices, out reason);
        using var fetched = FetchedFiles.TryFetch(offer, _folder, out reason, _patience);
        return fetched is null ? null : _device!.TryOpen(offer, fetched.Devices, out reason);
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

        public Entry Entry => entry;

        public PeerMemory Memory => entry.Memory;

        /// <summary>Where the blocks are, if not in <see cref="Memory"/>.</summary>
        public IPeerDevice? Device => entry.Device;

        public void Dispose()
        {
            if (!Interlocked.Exchange(ref _released, true)) owner.Release(entry);
        }
    }

    internal sealed class Entry(PeerMemory memory, IPeerDevice? device)
    {
        public PeerMemory Memory => memory;

        public IPeerDevice? Device => device;

        public int Links { get; set; }

        public long LastUse { get; set; }
    }
}
