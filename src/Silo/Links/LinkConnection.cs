using System.IO.Pipelines;
using System.Threading.Channels;
using Krewe.Abstractions;
using Krewe.Control.Links;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Links;

/// <summary>
/// The silo's end of one control link: frames in and out, heartbeats, silence. Invariant: ends once, and the first
/// reason stands. Nobody waits for a slow worker: what does not fit its send queue ends the link.
/// </summary>
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
    private readonly Task _writes;
    private readonly Channel<Wire.SiloMessage> _outbox = Channel.CreateBounded<Wire.SiloMessage>(
        new BoundedChannelOptions(SendQueueMessagesMax) { SingleReader = true });

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
        _writes = WriteAsync();
    }

    /// <summary>Queues a message; false when the link is over, or is by that.</summary>
    public bool TrySend(Wire.SiloMessage message)
    {
        if (_outbox.Writer.TryWrite(message)) return true;
        Close(new LinkEnd(
            ErrorCode.WorkerStalled, $"{SendQueueMessagesMax} messages wait for a worker that does not read"));
        return false;
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
        _outbox.Writer.TryComplete();
        // Elsewhere: whoever waits for it may go on right here, inside a lock of the caller.
        _ = _closed.CancelAsync();
    }

    /// <summary>Sends what is queued, at most for as long as a link may be silent, then ends the link.</summary>
    public async Task FlushAndCloseAsync(LinkEnd end)
    {
        _outbox.Writer.TryComplete();
        await Task.WhenAny(_writes, Task.Delay(_options.LinkSilenceLimit, _time, _closed.Token));
        Close(end);
    }

    public async ValueTask DisposeAsync()
    {
        Close(new LinkEnd(ErrorCode.WorkerLost, "the silo closed the link"));
        await _writes;
        await _stream.DisposeAsync();
    }

    private async Task WriteAsync()
    {
        try
        {
            while (await _outbox.Reader.WaitToReadAsync(_closed.Token))
            {
                while (_writer.UnflushedBytes < FlushBytes && _outbox.Reader.TryRead(out var message))
                    FrameCodec.Write(_writer, message);
                await _writer.FlushAsync(_closed.Token);
            }
        }
        catch (OperationCanceledException) when (_closed.IsCancellationRequested)
        {
            // The link is over.
        }
        catch (Exception e) when (e is IOException or FrameException or ObjectDisposedException)
        {
            Close(new LinkEnd(ErrorCode.WorkerLost, e.Message));
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
