namespace Krewe.KvStore.Disk;

/// <summary>
/// Walks over all objects and verifies them as they lie on disk, at a bounded rate, so that rot is found before the
/// block is wanted. What it finds is in the store's statistics.
/// </summary>
public sealed class Scrubber(SsdObjectStore store, long bytesPerSecond, TimeProvider time)
{
    private readonly long _bytesPerSecond = bytesPerSecond > 0
        ? bytesPerSecond
        : throw new ArgumentOutOfRangeException(nameof(bytesPerSecond), bytesPerSecond, "The rate must be above zero.");

    /// <summary>One walk over all slots.</summary>
    /// <returns>Objects looked at.</returns>
    public async ValueTask<int> PassAsync(CancellationToken cancellationToken)
    {
        var objects = 0;
        for (var slot = 0; slot < store.CapacityObjects; slot++)
        {
            if (await store.VerifyAsync(slot, cancellationToken) is not { } bytes) continue;
            objects++;
            await Task.Delay(TimeSpan.FromSeconds((double)bytes / _bytesPerSecond), time, cancellationToken);
        }

        return objects;
    }

    /// <summary>Walks until cancelled, with at least <paramref name="pause"/> between two walks.</summary>
    public async Task RunAsync(TimeSpan pause, CancellationToken cancellationToken)
    {
        while (true)
        {
            await PassAsync(cancellationToken);
            await Task.Delay(pause, time, cancellationToken);
        }
    }
}
