using Krewe.Abstractions;
using Krewe.Abstractions.Wire;

namespace Krewe.Workers;

/// <summary>
/// The worker's links to all silos: the configured addresses for ever, and those that silos tell of for as long as any
/// of them does. One link a silo: an address that leads to a silo with a link already is tried again later.
/// </summary>
internal sealed class SiloLinks(Func<string, SiloLinks, SiloLink> open)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, (Task Running, CancellationTokenSource Leave, bool IsConfigured)> _running = [];

    /// <summary>The silos that are linked now, with the addresses that each of them told.</summary>
    private readonly Dictionary<string, (SiloLink Link, string[] Told)> _silos = new(StringComparer.Ordinal);

    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private CancellationToken _stopping;
    private uint _epoch;

    /// <summary>What the next hello says. Newer than all before, to whichever silo.</summary>
    public (uint Epoch, string[] Linked) NextHello()
    {
        lock (_lock) return (++_epoch, [.. _silos.Keys]);
    }

    /// <summary>
    /// Keeps every link until stopped. Throws <see cref="KreweException"/> when a silo refuses the worker for good.
    /// </summary>
    public async Task RunAsync(IEnumerable<string> addresses, CancellationToken stopping)
    {
        using var all = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        _stopping = all.Token;
        lock (_lock)
        {
            foreach (var address in addresses) Open(address, isConfigured: true);
        }

        await using var stop = stopping.Register(() => _ended.TrySetResult());
        await _ended.Task.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await all.CancelAsync();
        Task[] running;
        lock (_lock) running = [.. _running.Values.Select(link => link.Running)];
        await Task.WhenAll(running);
        await _ended.Task;
    }

    /// <summary>Silos that this worker is linked to now.</summary>
    public int UpCount
    {
        get
        {
            lock (_lock) return _silos.Count;
        }
    }

    /// <summary>Connects anew to every silo: what the hello says has changed.</summary>
    public void Renew()
    {
        lock (_lock)
        {
            foreach (var (link, _) in _silos.Values) link.Renew();
        }
    }

    /// <summary>A hello was accepted. False: another link serves that silo, and this one is to end for good.</summary>
    public bool Welcome(SiloLink link, HelloReply welcome)
    {
        lock (_lock)
        {
            // A silo of version 1 does not refuse the second link, and each new try would push the first one out.
            if (welcome.Protocol < 2 && _silos.TryGetValue(welcome.SiloId, out var other) && other.Link != link)
                return false;
            _silos[welcome.SiloId] = (link, [.. welcome.SiloLinks]);
            Follow();
            return true;
        }
    }

    /// <summary>A silo tells which silos there are.</summary>
    public void Learn(SiloLink link, SiloSet set)
    {
        lock (_lock)
        {
            foreach (var (silo, known) in _silos)
            {
                if (known.Link != link) continue;
                _silos[silo] = (link, [.. set.SiloLinks]);
                Follow();
                return;
            }
        }
    }

    /// <summary>A connection that was accepted has ended.</summary>
    public void Lost(SiloLink link)
    {
        lock (_lock)
        {
            foreach (var (silo, known) in _silos)
            {
                if (known.Link == link) _silos.Remove(silo);
            }

            Follow();
        }
    }

    /// <summary>
    /// Links to every silo that any linked silo tells of, and lets go of those that none does. While no silo is linked
    /// nobody knows: then all are tried.
    /// </summary>
    private void Follow()
    {
        if (_silos.Count == 0 || _stopping.IsCancellationRequested) return;
        var told = _silos.Values.SelectMany(silo => silo.Told).ToHashSet(StringComparer.Ordinal);
        foreach (var address in told) Open(address, isConfigured: false);
        foreach (var (address, link) in _running)
        {
            var isNeeded = link.IsConfigured || told.Contains(address)
                || _silos.Values.Any(silo => silo.Link.Address == address);
            if (!isNeeded) _ = link.Leave.CancelAsync();
        }
    }

    private void Open(string address, bool isConfigured)
    {
        if (_stopping.IsCancellationRequested || _running.ContainsKey(address)) return;
        var leave = CancellationTokenSource.CreateLinkedTokenSource(_stopping);
        _running.Add(address, (KeepAsync(open(address, this), leave), leave, isConfigured));
    }

    private async Task KeepAsync(SiloLink link, CancellationTokenSource leave)
    {
        try
        {
            await Task.Yield();
            await link.RunAsync(leave.Token);
        }
        catch (KreweException e)
        {
            _ended.TrySetException(e);
        }

        // An address that is let go may be told again; one that ended for good must not be tried again.
        if (!leave.IsCancellationRequested) return;
        lock (_lock) _running.Remove(link.Address);
        leave.Dispose();
    }
}
