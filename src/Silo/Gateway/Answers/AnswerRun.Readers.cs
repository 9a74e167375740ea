using Krewe.Abstractions;

namespace Krewe.Silo.Gateway.Answers;

/// <summary>Who reads a run that a client may come back for.</summary>
internal sealed partial class AnswerRun
{
    private readonly Lock _readerGate = new();
    private int _readers;
    private ITimer? _absence;
    private TimeSpan _patience;

    /// <summary>One more client reads.</summary>
    public void Attach()
    {
        lock (_readerGate)
        {
            _readers++;
            _absence?.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }
    }

    /// <summary>A client reads no more.</summary>
    public void Detach()
    {
        lock (_readerGate)
        {
            if (--_readers == 0) _absence?.Change(_patience, Timeout.InfiniteTimeSpan);
        }
    }

    /// <summary>
    /// Reads to the end as a client does, so that stop strings end the answer whether one reads or not. Returns at the
    /// end, or when no client has read for <paramref name="patience"/>.
    /// </summary>
    public async Task WatchAsync(TimeSpan patience, TimeProvider time)
    {
        using var absent = new CancellationTokenSource();
        lock (_readerGate)
        {
            _patience = patience;
            _absence = time.CreateTimer(
                static source => ((CancellationTokenSource)source!).Cancel(), absent,
                _readers == 0 ? patience : Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }

        try
        {
            var reader = OpenReader();
            while (await reader.NextAsync(absent.Token) is not null)
            {
                // Each delta brings the end nearer; its text is for the clients.
            }
        }
        catch (Exception e) when (e is KreweException or OperationCanceledException)
        {
            // Readers get the error themselves; an absent client gets nothing.
        }
        finally
        {
            ITimer? absence;
            lock (_readerGate) (absence, _absence) = (_absence, null);
            if (absence is not null) await absence.DisposeAsync();
        }
    }
}
