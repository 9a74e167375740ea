using Krewe.Abstractions.Wire;

namespace Krewe.Workers;

/// <summary>
/// The worker's links to all silos: the configured ones and those that a hello reply names. One link a silo: a second
/// address of a silo that is linked already is let go.
/// </summary>
internal sealed class SiloLinks(Func<string, Func<SiloLink, HelloReply, bool>, SiloLink> open)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, Task> _running = [];
    private readonly Dictionary<string, SiloLink> _silos = [];
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private CancellationToken _stopping;

    /// <summary>
    /// Keeps every link until stopped. Throws <see cref="Krewe.Abstractions.KreweException"/> when a silo refuses the
    /// worker for good.
    /// </summary>
    public async Task RunAsync(IEnumerable<string> addresses, CancellationToken stopping)
    {
        using var all = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        _stopping = all.Token;
        Learn(addresses);
        await using var stop = stopping.Register(() => _ended.TrySetResult());
        await _ended.Task.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await all.CancelAsync();
        Task[] running;
        lock (_lock) running = [.. _running.Values];
        await Task.WhenAll(running);
        await _ended.Task;
    }

    /// <summary>Silos that this worker is linked to now.</summary>
    public int UpCount
    {
        get
        {
            lock (_lock) return _silos.Values.Count(link => link.IsUp);
        }
    }

    /// <summary>Connects anew to every silo: what the hello says has changed.</summary>
    public void Renew()
    {
        lock (_lock)
        {
            foreach (var link in _silos.Values) link.Renew();
        }
    }

    private void Learn(IEnumerable<string> addresses)
    {
        lock (_lock)
        {
            foreach (var address in addresses)
            {
                if (_running.ContainsKey(address) || _stopping.IsCancellationRequested) continue;
                _running.Add(address, KeepAsync(open(address, TakeWelcome)));
            }
        }
    }

    private async Task KeepAsync(SiloLink link)
    {
        try
        {
            await Task.Yield();
            await link.RunAsync(_stopping);
        }
        catch (Krewe.Abstractions.KreweException e)
        {
            _ended.TrySetException(e);
        }
    }

    private bool TakeWelcome(SiloLink link, HelloReply welcome)
    {
        lock (_lock)
        {
            if (_silos.TryAdd(welcome.SiloId, link) || _silos[welcome.SiloId] == link)
            {
                Learn(welcome.SiloLinks);
                return true;
            }

            return false;
        }
    }
}
