using System.Net.Sockets;

namespace Krewe.Workers;

/// <summary>
/// Waits until a socket can be read or written, through <see cref="SocketPoller"/>: each wait is one event, and a
/// socket that nobody waits for costs nothing. One reader and one writer at a time.
/// </summary>
internal sealed class SocketReadiness(Socket socket) : IDisposable
{
    private readonly Lock _gate = new();
    private TaskCompletionSource? _reader;
    private TaskCompletionSource? _writer;
    private bool _closed;

    /// <summary>Among the poller's sockets; null before the first wait.</summary>
    private ulong? _place;

    /// <summary>Returns when there is something to read: bytes, the end of the stream or an error.</summary>
    public Task WhenReadableAsync(CancellationToken cancellationToken) => WaitAsync(ref _reader, cancellationToken);

    /// <summary>Returns when there is room to write, or an error.</summary>
    public Task WhenWritableAsync(CancellationToken cancellationToken) => WaitAsync(ref _writer, cancellationToken);

    /// <summary>The socket is closed: waits end, and none begins.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _closed = true;
            End(ref _reader);
            End(ref _writer);
            if (_place is { } place) SocketPoller.Shared.Leave(place);
        }
    }

    /// <summary>Told by the poller, once for each time that it was asked.</summary>
    public void Tell(bool readable, bool writable)
    {
        lock (_gate)
        {
            if (readable) End(ref _reader);
            if (writable) End(ref _writer);
            if (!_closed) Ask();
        }
    }

    private Task WaitAsync(ref TaskCompletionSource? waiter, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_closed, this);
            waiter ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            Ask();
            return waiter?.Task.WaitAsync(cancellationToken) ?? Task.CompletedTask;
        }
    }

    private void Ask()
    {
        if (_reader is null && _writer is null) return;
        try
        {
            var place = _place ??= SocketPoller.Shared.Enter(this);
            SocketPoller.Shared.Ask(socket.SafeHandle, place, _reader is not null, _writer is not null);
        }
        catch (Exception e) when (e is ObjectDisposedException or IOException)
        {
            // The next read or write says what is wrong.
            End(ref _reader);
            End(ref _writer);
        }
    }

    private static void End(ref TaskCompletionSource? waiter)
    {
        waiter?.SetResult();
        waiter = null;
    }
}
