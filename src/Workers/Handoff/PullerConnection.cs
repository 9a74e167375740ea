using System.Diagnostics.CodeAnalysis;
using System.Threading.Channels;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Control.Links;
using SequenceKey = Krewe.Abstractions.SequenceKey;

namespace Krewe.Workers;

/// <summary>
/// The source's link to one puller: a reader that tells the engine what the target says, and a writer that sends what
/// the engine wants. Each block given to it is answered by one SendEnded, also when the link breaks.
/// </summary>
[SuppressMessage("Design", "CA1001:Types that own disposable fields should be disposable",
    Justification = "The engine may speak to a link that has ended; a disposed token source would throw there.")]
internal sealed partial class PullerConnection(
    IDataChannel channel, IKvArena arena, WorkerIdentity identity, Action<EngineCommand> post, PhaseHold? hold,
    TimeProvider time, ILogger logger) : IPullerLink
{
    /// <summary>A peer that asks for less would only be answered with a flood of renewals.</summary>
    private const uint LeaseMsMin = 30;

    private readonly record struct Outgoing(DataMessage Message, BlockId? Block = null, bool Last = false);

    private readonly Channel<Outgoing> _outbox = Channel.CreateUnbounded<Outgoing>(
        new UnboundedChannelOptions { SingleReader = true });

    private readonly CancellationTokenSource _cut = new(Timeout.InfiniteTimeSpan, time);
    private SequenceKey _key;
    private byte[]? _staging;
    private volatile bool _aborting;

    public void SendBlock(int index, BlockId block)
    {
        var message = new DataMessage { Block = new Block { Index = (uint)index } };
        if (!_outbox.Writer.TryWrite(new Outgoing(message, block))) post(new EngineCommand.SendEnded(this, _key));
    }

    public void SendDone(PrefillDone done) => Enqueue(new DataMessage { Done = done });

    public void SendCommitted() => EnqueueLast(new DataMessage { Committed = new Committed() });

    public void SendAbort(ErrorCode? code, string reason)
    {
        _aborting = true;
        EnqueueLast(new DataMessage
        {
            Abort = new HandoffAbort { ErrorCode = code?.ToString() ?? "", Message = reason },
        });
    }

    /// <summary>Serves the link to its end. Does not throw.</summary>
    public async Task RunAsync(CancellationToken stopping)
    {
        using var both = CancellationTokenSource.CreateLinkedTokenSource(_cut.Token, stopping);
        var (code, reason) = (ErrorCode.HandoffTargetLost, "The target's data link closed before its commit.");
        try
        {
            if (await GreetAsync(both.Token) is not { } hello) return;
            _key = hello.Key.FromWire();
            post(new EngineCommand.PullerArrived(this, _key, (int)Math.Min(hello.FirstBlock, int.MaxValue)));
            var writing = WriteAsync(TimeSpan.FromMilliseconds(Math.Max(LeaseMsMin, hello.LeaseMs)), both.Token);
            try
            {
                await ReadAsync(both.Token);
            }
            finally
            {
                // Whatever ended the reading ends the writing: a send to a hung peer must not hold its block.
                if (!writing.IsCompleted) _cut.CancelAfter(HandoffLimits.ClosingGrace);
                _outbox.Writer.TryComplete();
                await writing;
            }
        }
        catch (FrameException e)
        {
            (code, reason) = (ErrorCode.HandoffCorrupt, e.Message);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            LogBroken(logger, _key, e.Message);
        }
        finally
        {
            EndUnsent();
            channel.Dispose();
            if (_key != default) post(new EngineCommand.PullerLost(this, _key, code, reason));
        }
    }

    /// <summary>The hello, when it fits this worker; otherwise the target was told what differs.</summary>
    private async Task<PullHello?> GreetAsync(CancellationToken cancellationToken)
    {
        using var patience = new Patience(HandoffLimits.HelloLimit, time, cancellationToken);
        var message = await channel.ReceiveAsync(RefuseRoom, patience.Token);
        if (message?.Migrate is { } migrate)
        {
            await new MigrationConnection(channel, migrate, arena, identity, post, hold, time, logger)
                .RunAsync(cancellationToken);
            return null;
        }

        if (message?.Hello is not { } hello) throw new FrameException("A data link began without a hello.");
        if (Mismatch(hello) is not { } mismatch) return hello;
        LogRefused(logger, hello.TargetWorkerId, mismatch);
        var abort = new HandoffAbort { ErrorCode = nameof(ErrorCode.HandoffRefused), Message = mismatch };
        await channel.SendAsync(new DataMessage { Abort = abort }, default, patience.Token);
        channel.FinishSending();
        await channel.ReceiveAsync(RefuseRoom, patience.Token);
        return null;
    }

    private string? Mismatch(PullHello hello)
    {
        if (hello.Protocol != ProtocolVersion.Current)
            return Differs("protocol", hello.Protocol, ProtocolVersion.Current);
        if (hello.Key is null || hello.Key.RequestId.Length == 0) return "The hello names no sequence.";
        if (hello.SourceIncarnation != identity.Incarnation)
            return Differs("incarnation", hello.SourceIncarnation, identity.Incarnation) + " It was restarted.";
        if (hello.ModelFingerprint != identity.ModelFingerprint)
            return Differs("model", hello.ModelFingerprint, identity.ModelFingerprint);
        if (hello.Numerics != identity.Numerics.ToString())
            return Differs("numerics", hello.Numerics, identity.Numerics);
        var geometry = identity.Geometry.ToWire();
        return geometry.Equals(hello.Kv) ? null : Differs("KV geometry", hello.Kv, geometry);
    }

    private string Differs(string what, object? theirs, object ours) =>
        $"The target expects {what} {theirs}; worker {identity.WorkerId} has {ours}.";

    private async Task ReadAsync(CancellationToken cancellationToken)
    {
        while (await channel.ReceiveAsync(RefuseRoom, cancellationToken) is { } message)
        {
            switch (message.BodyCase)
            {
                case DataMessage.BodyOneofCase.Pull:
                    post(new EngineCommand.PullerSign(this, _key, (int)Math.Min(message.Pull.Count, int.MaxValue)));
                    break;
                case DataMessage.BodyOneofCase.Renew: post(new EngineCommand.PullerSign(this, _key, 0)); break;
                case DataMessage.BodyOneofCase.Commit: post(new EngineCommand.PullerCommitted(this, _key)); break;
                case DataMessage.BodyOneofCase.Abort:
                    post(new EngineCommand.PullerLost(this, _key,
                        message.Abort.ErrorCode.Length == 0
                            ? null
                            : WireNames.ParseErrorCode(message.Abort.ErrorCode) ?? ErrorCode.HandoffTargetLost,
                        $"The target gave the handoff up: {message.Abort.Message}"));
                    return;
                default: throw new FrameException($"The target sent {message.BodyCase}, which is the source's to say.");
            }
        }
    }

    private async Task WriteAsync(TimeSpan lease, CancellationToken cancellationToken)
    {
        using var renewing = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var renewal = RenewAsync(lease, renewing.Token);
        try
        {
            await foreach (var outgoing in _outbox.Reader.ReadAllAsync(cancellationToken))
            {
                if (outgoing.Block is { } block) await SendAsync(outgoing.Message, block, cancellationToken);
                else await channel.SendAsync(outgoing.Message, default, cancellationToken);
                if (outgoing.Last) break;
            }

            channel.FinishSending();
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // The reader may be waiting for a peer that hangs: cut the link under it.
            LogBroken(logger, _key, e.Message);
            await _cut.CancelAsync();
        }
        finally
        {
            _outbox.Writer.TryComplete();
            await renewing.CancelAsync();
            await renewal;
        }
    }

    private async Task SendAsync(DataMessage message, BlockId block, CancellationToken cancellationToken)
    {
        try
        {
            if (_aborting) return;
            if (!arena.TryGetMemory(block, out var bytes))
            {
                bytes = _staging ??= new byte[arena.Geometry.BlockBytes];
                arena.CopyOut(block, bytes.Span);
            }

            await channel.SendAsync(message, bytes, cancellationToken);
        }
        finally
        {
            post(new EngineCommand.SendEnded(this, _key));
        }

        await HoldInHandoffAsync(cancellationToken);
    }

    /// <summary>Prefill may take long: signs of life keep the target from giving up.</summary>
    private async Task RenewAsync(TimeSpan lease, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(lease / HandoffLimits.RenewalsPerLease, time);
        try
        {
            while (await timer.WaitForNextTickAsync(cancellationToken))
                Enqueue(new DataMessage { Renew = new Renew() });
        }
        catch (OperationCanceledException)
        {
            return; // the writer has ended
        }
    }

    private void Enqueue(DataMessage message) => _outbox.Writer.TryWrite(new Outgoing(message));

    private void EnqueueLast(DataMessage message)
    {
        _outbox.Writer.TryWrite(new Outgoing(message, Last: true));
        _outbox.Writer.TryComplete();
        _cut.CancelAfter(HandoffLimits.ClosingGrace);
    }

    private void EndUnsent()
    {
        _outbox.Writer.TryComplete();
        while (_outbox.Reader.TryRead(out var outgoing))
        {
            if (outgoing.Block is not null) post(new EngineCommand.SendEnded(this, _key));
        }
    }

    private static Memory<byte> RefuseRoom(DataMessage message, int payloadBytes) =>
        throw new FrameException($"{message.BodyCase} with {payloadBytes} bytes of payload; a target sends none.");

    [LoggerMessage(LogLevel.Debug, "Step 5: the data link of {Key} ended: {Reason}")]
    private static partial void LogBroken(ILogger logger, SequenceKey key, string reason);

    [LoggerMessage(LogLevel.Warning, "Step 5: the pull of worker {Target} is refused: {Reason}")]
    private static partial void LogRefused(ILogger logger, string target, string reason);
}
