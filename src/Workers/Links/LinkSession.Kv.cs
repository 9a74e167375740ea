using Krewe.Abstractions.Wire;
using Krewe.Control.KvEvents;

namespace Krewe.Workers;

/// <summary>What the silo is told of this worker's KV: a snapshot, then events, a few times a second.</summary>
internal sealed partial class LinkSession
{
    /// <summary>Changes in one message: 68 KiB.</summary>
    private const int KvChangesMax = 4096;

    /// <summary>
    /// Messages in one tick. A snapshot of a million blocks so takes some 3 s and never fills the outbox.
    /// </summary>
    private const int KvMessagesPerTick = 8;

    private static readonly TimeSpan KvTick = TimeSpan.FromMilliseconds(100);

    private readonly KvEventReader? _kv;

    private async Task TellKvAsync()
    {
        if (_kv is null) return;
        try
        {
            using var timer = new PeriodicTimer(KvTick, _time);
            do
            {
                for (var i = 0; i < KvMessagesPerTick && _kv.Read(KvChangesMax) is { } batch; i++)
                    Send(new WorkerMessage { Kv = batch.ToWire() });
            }
            while (await timer.WaitForNextTickAsync(_closing.Token));
        }
        catch (OperationCanceledException)
        {
            return; // the link is closed
        }
    }
}
