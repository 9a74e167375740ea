using System.Diagnostics.CodeAnalysis;
using System.Threading.Channels;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Control.Handoff;
using Krewe.Control.Links;
using SequenceKey = Krewe.Abstractions.SequenceKey;

namespace Krewe.Workers;

/// <summary>
/// The source's link to one puller: a reader that tells the engine what the target says, and a writer that sends what
/// the engine wants. Each run given to it is answered by one SendEnded, also when the link breaks.
/// </summary>
[SuppressMessage("Design", "CA1001:Types that own disposable fields should be disposable",
    Justification = "The engine may speak to a link that has ended; a disposed token source would throw there.")]
internal sealed partial class PullerConnection(
    IDataChannel channel, PullHello hello, WorkerIdentity identity, Action<EngineCommand> post, PhaseHold? hold,
    TimeProvider time, ILogger logger) : IPullerLink, ILinkHandler
{
    /// <summary>A peer that asks for less would only be answered with a flood of renewals.</summary>
    private const uint LeaseMsMin = 30;

    private abstract record Outgoing
    {
        public sealed record Words(DataMessage Message, bool Last = false) : Outgoing;

        public sealed record Blocks(BlockRun Run, BlockId[] Ids, StepProgress? Progress) : Outgoing;
    }

    private readonly Channel<Outgoing> _outbox = Channel.CreateUnbounded<Outgoing>(
        new UnboundedChannelOptions { SingleReader = true });

    private readonly CancellationTokenSource _cut = new(Timeout.InfiniteTimeSpan, time);
    private readonly SequenceKey _key = hello.Key.FromWire();
    private readonly RunSender _sender = new(channel, identity.Geometry);
    private volatile bool _aborting;

    public void SendBlocks(BlockRun run, BlockId[] blocks, StepProgress? progress)
    {
        if (!_outbox.Writer.TryWrite(new Outgoing.Blocks(run, blocks, progress)))
            post(new EngineCommand.SendEnded(this, _key));
    }

    public void SendDone(PrefillDone done) => Enqueue(new DataMessage { Done = done });

    public void SendCommitted() => EnqueueLast(new DataMessage { Committed = new Committed() });

    public void SendAbort(ErrorCode? code, string reason)
    {
        _aborting = true;
        channel.Revoke();
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
        var began = false;
        try
        {
            if (Mismatch() is { } mismatch)
            {
                await RefuseAsync(mismatch, both.Token);
                return;
            }

            began = true;
            post(new EngineCommand.PullerArrived(this, _key, BlockRuns.FromPairs(hello.PresentRuns)!));
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
            if (began) post(new EngineCommand.PullerLost(this, _key, code, reason));
        }
    }

    private async Task RefuseAsync(string mismatch, CancellationToken cancellationToken)
    {
        using var patience = new Patience(HandoffLimits.HelloLimit, time, cancellationToken);
        LogRefused(logger, hello.TargetWorkerId, mismatch);
        var abort = new HandoffAbort { ErrorCode = nameof(ErrorCode.HandoffRefused), Message = mismatch };
        await channel.SendAsync(new DataMessage { Abort = abort }, patience.Token);
        channel.FinishSending();
        await channel.ReceiveAsync(patience.Token);
    }

    private string? Mismatch()
    {
        if (hello.Protocol != ProtocolVersion.Oldest)
            return Differs("protocol", hello.Protocol, ProtocolVersion.Oldest);
        if (hello.Key is null || hello.Key.RequestId.Length == 0) return "The hello names no sequence.";
        if (BlockRuns.FromPairs(hello.PresentRuns) is null) return "The hello's present_runs are no set of blocks.";
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
        while (await channel.ReceiveAsync(cancellationToken) is { } message)
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
                if (outgoing is Outgoing.Blocks blocks) await SendAsync(blocks, cancellationToken);
                if (outgoing is not Outgoing.Words words) continue;
                await channel.SendAsync(words.Message, cancellationToken);
                if (words.Last) break;
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

    private async Task SendAsync(Outgoing.Blocks blocks, CancellationToken cancellationToken)
    {
        var pieces = 0;
        try
        {
            await _sender.SendAsync(blocks.Run, blocks.Ids, blocks.Progress, GoesOnAsync, cancellationToken);
        }
        finally
        {
            post(new EngineCommand.SendEnded(this, _key));
        }

        await HoldInHandoffAsync(cancellationToken);

        async Task<bool> GoesOnAsync()
        {
            if (pieces++ > 0) await HoldInHandoffAsync(cancellationToken);
            return !_aborting;
        }
    }

    /// <summary>Prefill may take long: signs of life keep the target from giving up.</summary>
    private async Task RenewAsync(TimeSpan lease, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(lease / HandoffLimits.RenewalsPerLease, time);
        try
        {
            while (await timer.WaitForNextTickAsync(cancellationToken))
                await channel.SendAsync(new DataMessage { Renew = new Renew() }, cancellationToken);
        }
        catch (Exception e) when (e is OperationCanceledException or IOException)
        {
            return; // the writer has ended, or sees the same broken link
        }
    }

    private void Enqueue(DataMessage message) => _outbox.Writer.TryWrite(new Outgoing.Words(message));

    private void EnqueueLast(DataMessage message)
    {
        _outbox.Writer.TryWrite(new Outgoing.Words(message, Last: true));
        _outbox.Writer.TryComplete();
        _cut.CancelAfter(HandoffLimits.ClosingGrace);
    }

    private void EndUnsent()
    {
        _outbox.Writer.TryComplete();
        while (_outbox.Reader.TryRead(out var outgoing))
        {
            if (outgoing is Outgoing.Blocks) post(new EngineCommand.SendEnded(this, _key));
        }
    }

    [LoggerMessage(LogLevel.Debug, "Step 5: the data link of {Key} ended: {Reason}")]
    private static partial void LogBroken(ILogger logger, SequenceKey key, string reason);

    [LoggerMessage(LogLevel.Warning, "Step 5: the pull of worker {Target} is refused: {Reason}")]
    private static partial void LogRefused(ILogger logger, string target, string reason);
}
