using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.IO.Pipelines;
using System.Net.Security;
using System.Net.Sockets;
using System.Threading.Channels;
using Krewe.Abstractions.Wire;
using Krewe.Control.KvEvents;
using Krewe.Control.Links;

namespace Krewe.Workers;

/// <summary>
/// One connection to one silo, from the accepted hello to its end: the owner of every sequence that came over it. When
/// it ends, for whatever reason, those sequences end too; nothing of it is carried to the next connection.
/// </summary>
[SuppressMessage("Design", "CA1001:Types that own disposable fields should be disposable",
    Justification = "The engine may speak to a link that has ended; a disposed token source would throw there.")]
internal sealed partial class LinkSession : ISequenceOwner
{
    /// <summary>
    /// Messages that may wait for the writer. A silo that does not read for that long is given up rather than waited
    /// for: the engine must not block, and tokens must not be dropped.
    /// </summary>
    private const int OutboxMax = 16384;

    private static readonly TimeSpan FinishLimit = TimeSpan.FromSeconds(1);

    private readonly Stream _stream;
    private readonly PipeReader _reader;
    private readonly HelloReply _welcome;
    private readonly Action<EngineCommand> _post;
    private readonly Func<EngineLoad> _load;
    private readonly Action<SiloSet> _learn;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _closing;
    private readonly Channel<WorkerMessage> _outbox = Channel.CreateBounded<WorkerMessage>(
        new BoundedChannelOptions(OutboxMax) { SingleReader = true });

    private readonly TokenMessages _messages = new();
    private long _lastReceived;
    private volatile bool _finishing;
    private long _loadReports;
    private string _reason = "The silo closed the link.";

    /// <param name="learn">Told which silos there are, whenever this one tells.</param>
    public LinkSession(
        Stream stream, PipeReader reader, HelloReply welcome, Action<EngineCommand> post, Func<EngineLoad> load,
        Action<SiloSet> learn, TimeProvider time, ILogger logger, KvEventLog? kv = null)
    {
        (_stream, _reader, _welcome, _post) = (stream, reader, welcome, post);
        (_load, _learn, _time, _logger) = (load, learn, time, logger);
        _kv = kv is null ? null : new KvEventReader(kv);
        _lastReceived = time.GetTimestamp();
        _closing = new CancellationTokenSource(Timeout.InfiniteTimeSpan, time);
    }

    private TimeSpan Heartbeat => TimeSpan.FromMilliseconds(Math.Max(1, _welcome.HeartbeatMs));

    private TimeSpan SilenceLimit => TimeSpan.FromMilliseconds(_welcome.SilenceMs);

    public void Deliver(TokenBatch tokens)
    {
        var message = _messages.TakeMessage();
        message.Tokens = tokens;
        Send(message);
    }

    public TokenBatch TakeBatch() => _messages.TakeBatch();

    public TokenRun TakeRun() => _messages.TakeRun();

    public void Deliver(SequenceEvent change) => Send(new WorkerMessage { Event = change });

    /// <summary>Serves the link to its end and tells why it ended. Does not throw.</summary>
    public async Task<string> RunAsync(CancellationToken stopping)
    {
        await using var stop = stopping.Register(Finish);
        try
        {
            var writing = WriteAsync();
            var beating = BeatAsync();
            var telling = TellKvAsync();
            await ReadAsync();
            Close(_reason);
            await beating;
            await telling;
            await writing;
            return _reason;
        }
        finally
        {
            _post(new EngineCommand.OwnerLost(this));
            await _reader.CompleteAsync();
        }
    }

    /// <summary>
    /// Sends what waits, the last tokens and RELEASED among it, and that the worker leaves; closes soon even when the
    /// silo does not read.
    /// </summary>
    private void Finish()
    {
        ReportLoad();
        _finishing = true;
        _outbox.Writer.TryComplete();
        _closing.CancelAfter(FinishLimit);
    }

    private void Send(WorkerMessage message)
    {
        if (_outbox.Writer.TryWrite(message) || _finishing || _closing.IsCancellationRequested) return;
        Close($"The silo does not read: {OutboxMax} messages wait for it.");
    }

    /// <summary>Ends this connection, so that the next one says hello anew.</summary>
    public void Renew() => Close("The worker's role has changed.");

    private void Close(string reason)
    {
        if (_closing.IsCancellationRequested) return;
        _reason = reason;

        // Perhaps on the engine thread: the link's own code must not run there.
        _ = _closing.CancelAsync();
    }

    private async Task ReadAsync()
    {
        try
        {
            while (true)
            {
                var read = await _reader.ReadAsync(_closing.Token);
                Interlocked.Exchange(ref _lastReceived, _time.GetTimestamp());
                var buffer = read.Buffer;
                while (FrameCodec.TryRead(ref buffer, SiloMessage.Parser, out var message)) Take(message!);
                _reader.AdvanceTo(buffer.Start, buffer.End);
                if (read.IsCompleted) return;
            }
        }
        catch (FrameException e)
        {
            Close(e.Message);
        }
        catch (IOException e)
        {
            Close($"The link broke: {e.Message}");
        }
        catch (OperationCanceledException) when (_closing.IsCancellationRequested)
        {
            return; // closed from this side; the reason is set
        }
    }

    private void Take(SiloMessage message)
    {
        switch (message.BodyCase)
        {
            case SiloMessage.BodyOneofCase.Start: _post(new EngineCommand.Start(this, message.Start)); break;
            case SiloMessage.BodyOneofCase.Abort:
                _post(new EngineCommand.Abort(this, message.Abort.Key.FromWire(), message.Abort.Reason));
                break;
            case SiloMessage.BodyOneofCase.Drain:
                _post(new EngineCommand.Drain(
                    message.Drain.GraceMs == 0 ? null : TimeSpan.FromMilliseconds(message.Drain.GraceMs)));
                break;
            case SiloMessage.BodyOneofCase.SetRole:
                if (message.SetRole.Role.FromWire() is { } role) _post(new EngineCommand.SetRole(role));
                break;
            case SiloMessage.BodyOneofCase.KvKeep: _post(new EngineCommand.Keep(message.KvKeep)); break;
            case SiloMessage.BodyOneofCase.KvResync: _kv?.Restart(); break;
            case SiloMessage.BodyOneofCase.SiloSet: _learn(message.SiloSet); break;
            case SiloMessage.BodyOneofCase.Heartbeat: break;
            case SiloMessage.BodyOneofCase.None: break; // a newer silo's message
            default: throw new FrameException($"The silo sent {message.BodyCase} in the middle of a link.");
        }
    }

    /// <summary>Reports the load once a heartbeat, and gives a silent silo up.</summary>
    private async Task BeatAsync()
    {
        try
        {
            using var timer = new PeriodicTimer(Heartbeat, _time);
            while (true)
            {
                ReportLoad();
                await timer.WaitForNextTickAsync(_closing.Token);
                var silence = _time.GetElapsedTime(Interlocked.Read(ref _lastReceived));
                if (silence > SilenceLimit) Close($"The silo was silent for {silence.TotalMilliseconds:F0} ms.");
            }
        }
        catch (OperationCanceledException)
        {
            return; // the link is closed
        }
    }

    private void ReportLoad() =>
        Send(new WorkerMessage { Load = _load().ToReport((ulong)Interlocked.Increment(ref _loadReports)) });

    /// <summary>The only writer: everything that waits goes out in one write.</summary>
    private async Task WriteAsync()
    {
        var frames = new ArrayBufferWriter<byte>();
        try
        {
            while (await _outbox.Reader.WaitToReadAsync(_closing.Token))
            {
                while (_outbox.Reader.TryRead(out var message))
                {
                    FrameCodec.Write(frames, message);
                    _messages.GiveBack(message);
                }

                await _stream.WriteAsync(frames.WrittenMemory, _closing.Token);
                frames.ResetWrittenCount();
            }

            // Finished: the silo closes when it has read everything. Closing here, with its heartbeats unread, would
            // reset the connection and lose what is on its way.
            if (_stream is SslStream secured)
                await secured.ShutdownAsync();
            else
                ((NetworkStream)_stream).Socket.Shutdown(SocketShutdown.Send);
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            Close($"The link broke: {e.Message}");
        }
        catch (OperationCanceledException)
        {
            LogUnsent(_logger, _welcome.SiloId, _outbox.Reader.Count);
        }
    }

    [LoggerMessage(LogLevel.Debug, "Step 8: the link to {Silo} closed with {Messages} messages unsent.")]
    private static partial void LogUnsent(ILogger logger, string silo, int messages);
}
