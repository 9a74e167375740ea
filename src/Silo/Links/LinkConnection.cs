using System.Diagnostics.CodeAnalysis;
using System.IO.Pipelines;
using Krewe.Abstractions;
using Krewe.Control.Links;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Links;

/// <summary>
/// The silo's end of one control link: frames in and out, heartbeats, silence. Invariant: ends once, and the first
/// reason stands. Nobody waits for a slow worker: what does not fit its send queue ends the link.
/// </summary>
/// <remarks>
/// Whoever sends writes to the socket himself, unless another does: a thread that had to wake up for it would make a
/// prompt wait longer than the whole of routing does. A worker that does not read makes nobody wait: what the socket
/// does not take at once is finished by the thread that it tells.
/// </remarks>
internal sealed class LinkConnection : IAsyncDisposable
{
    /// <summary>Messages waiting for one worker. Beyond it the worker does not read: it has hung.</summary>
    private const int SendQueueMessagesMax = 8192;

    /// <summary>Bytes written between two flushes: one system call for many small messages, bounded memory for large
    /// ones.
    /// </summary>
    private const int FlushBytes = 256 << 10;

    private readonly Stream _stream;
    private readonly PipeReader _reader;
    private readonly PipeWriter _writer;
    private readonly ClusterOptions _options;
    private readonly TimeProvider _time;
    // Never disposed of: it holds no timer, and a late Close() must not meet a disposed source.
    private readonly CancellationTokenSource _closed = new();
    private readonly Lock _sendGate = new();
    private readonly Queue<Wire.SiloMessage> _outbox = [];

    /// <summary>Somebody empties the outbox; nobody else touches the writer.</summary>
    private bool _isWriting;

    private bool _takesNoMore;

    /// <summary>Completed when nobody writes any more; null while nobody waits for it.</summary>
    private TaskCompletionSource? _idle;

    private LinkEnd? _end;
    private int _silentBeats;
    private ulong _heartbeats;

    /// <param name="stream">The connection, secured or not; owned.</param>
    public LinkConnection(Stream stream, ClusterOptions options, TimeProvider time)
    {
        _stream = stream;
        _reader = PipeReader.Create(_stream, new StreamPipeReaderOptions(leaveOpen: true));
        _writer = PipeWriter.Create(_stream, new StreamPipeWriterOptions(leaveOpen: true));
        _options = options;
        _time = time;
    }

    /// <summary>Sends a message or queues it; false when the link is over, or is by that.</summary>
    public bool TrySend(Wire.SiloMessage message)
    {
        bool isFull;
        lock (_sendGate)
        {
            if (_takesNoMore) return false;
            isFull = _takesNoMore = _outbox.Count == SendQueueMessagesMax;
            if (!isFull)
            {
                _outbox.Enqueue(message);
                if (_isWriting) return true;
                _isWriting = true;
            }
        }

        if (isFull)
        {
            Close(new LinkEnd(
                ErrorCode.WorkerStalled, $"{SendQueueMessagesMax} messages wait for a worker that does not read"));
            return false;
        }

        _ = WriteAsync();
        return true;
    }

    /// <summary>The next message; null when the worker closed the link.</summary>
    /// <exception cref="FrameException">Bytes that are not of this protocol.</exception>
    /// <exception cref="IOException">The link broke.</exception>
    public async ValueTask<Wire.WorkerMessage?> ReadAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            if (!_reader.TryRead(out var read)) read = await _reader.ReadAsync(cancellationToken);
            var buffer = read.Buffer;
            if (FrameCodec.TryRead(ref buffer, Wire.WorkerMessage.Parser, out var message))
            {
                // Only what was taken counts as examined: the next frame may be in the buffer already.
                _reader.AdvanceTo(buffer.Start);
                return message;
            }

            _reader.AdvanceTo(buffer.Start, buffer.End);
            Volatile.Write(ref _silentBeats, 0);
            if (read.IsCompleted) return null;
        }
    }

    /// <summary>Reads until the link is over, heartbeats meanwhile, and says why it is.</summary>
    public async Task<LinkEnd> RunAsync(Action<Wire.WorkerMessage> handle)
    {
        using var beats = _time.CreateTimer(
            static link => ((LinkConnection)link!).Beat(),
            this,
            _options.HeartbeatInterval,
            _options.HeartbeatInterval);
        try
        {
            while (await ReadAsync(_closed.Token) is { } message)
            {
                Volatile.Write(ref _silentBeats, 0);
                handle(message);
            }

            Close(new LinkEnd(ErrorCode.WorkerLost, "the worker closed its link"));
        }
        catch (OperationCanceledException) when (_closed.IsCancellationRequested)
        {
            // Close() has kept the reason.
        }
        catch (Exception e) when (e is IOException or FrameException or ObjectDisposedException)
        {
            Close(new LinkEnd(ErrorCode.WorkerLost, e.Message));
        }

        return _end!;
    }

    /// <summary>Ends the link at once, unless it has ended.</summary>
    public void Close(LinkEnd end)
    {
        if (Interlocked.CompareExchange(ref _end, end, null) is not null) return;
        lock (_sendGate) _takesNoMore = true;
        // Elsewhere: whoever waits for it may go on right here, inside a lock of the caller.
        _ = _closed.CancelAsync();
    }

    /// <summary>Sends what is queued, at most for as long as a link may be silent, then ends the link.</summary>
    public async Task FlushAndCloseAsync(LinkEnd end)
    {
        lock (_sendGate) _takesNoMore = true;
        await Task.WhenAny(WhenIdleAsync(), Task.Delay(_options.LinkSilenceLimit, _time, _closed.Token));
        Close(end);
    }

    public async ValueTask DisposeAsync()
    {
        Close(new LinkEnd(ErrorCode.WorkerLost, "the silo closed the link"));
        await WhenIdleAsync();
        await _stream.DisposeAsync();
    }

    private Task WhenIdleAsync()
    {
        lock (_sendGate)
        {
            if (!_isWriting) return Task.CompletedTask;
            _idle ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return _idle.Task;
        }
    }

    /// <summary>Empties the outbox. The caller has taken the turn; it is given back at the end.</summary>
    private async Task WriteAsync()
    {
        var rests = false;
        try
        {
            do
            {
                while (_writer.UnflushedBytes < FlushBytes && TryTake(out var message))
                    FrameCodec.Write(_writer, message);
                // Not on the sender's scheduler: a grain's turn does not wait for a worker's socket.
                await _writer.FlushAsync(_closed.Token).ConfigureAwait(false);
            }
            while (!TryRest());
            rests = true;
        }
        catch (Exception e) when (e is IOException or FrameException or ObjectDisposedException
            or OperationCanceledException)
        {
            // Cancelled: it is over, and its reason is known.
            Close(new LinkEnd(ErrorCode.WorkerLost, e.Message));
        }
        finally
        {
            // Whatever happened, who disposes of the link does not wait for ever.
            if (!rests) Rest();
        }
    }

    private bool TryTake([NotNullWhen(true)] out Wire.SiloMessage? message)
    {
        lock (_sendGate) return _outbox.TryDequeue(out message);
    }

    /// <summary>Gives the turn back, unless there is more to write.</summary>
    private bool TryRest()
    {
        lock (_sendGate)
        {
            if (_outbox.Count > 0) return false;
            _isWriting = false;
            _idle?.TrySetResult();
            return true;
        }
    }

    /// <summary>Gives the turn back for good.</summary>
    private void Rest()
    {
        lock (_sendGate)
        {
            _outbox.Clear();
            _isWriting = false;
            _idle?.TrySetResult();
        }
    }

    /// <summary>
    /// Silence is counted in beats and not by the clock: a silo that was itself stopped for a while must first read
    /// what has arrived before it gives a link up.
    /// </summary>
    private void Beat()
    {
        var silence = Interlocked.Increment(ref _silentBeats) * _options.HeartbeatInterval;
        if (silence > _options.LinkSilenceLimit)
        {
            Close(new LinkEnd(
                ErrorCode.WorkerStalled, $"no sign of the worker for {_options.LinkSilenceLimit.TotalSeconds} s"));
            return;
        }

        var beat = new Wire.Heartbeat { Sequence = ++_heartbeats };
        if (_end is null) TrySend(new Wire.SiloMessage { Heartbeat = beat });
    }
}
