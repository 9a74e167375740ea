using System.Diagnostics.CodeAnalysis;
using System.Threading.Channels;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Control.Links;

namespace Krewe.Workers;

/// <summary>
/// The source's end of a link over which a sequence leaves (handoff, migration): a reader that tells the engine what
/// the target says, and a writer that sends what the engine wants. What the engine gave it to send is answered also
/// when the link breaks.
/// </summary>
[SuppressMessage("Design", "CA1001:Types that own disposable fields should be disposable",
    Justification = "The engine may speak to a link that has ended; a disposed token source would throw there.")]
internal abstract partial class SourceConnection(
    IDataChannel channel, ISourceHello hello, WorkerIdentity identity, TimeProvider time, ILogger logger)
    : ILinkHandler
{
    /// <summary>A peer that asks for less would only be answered with a flood of renewals.</summary>
    private const uint LeaseMsMin = 30;

    /// <summary>What waits to be sent.</summary>
    protected abstract record Outgoing;

    private sealed record Words(DataMessage Message, bool Last = false) : Outgoing;

    private readonly Channel<Outgoing> _outbox = Channel.CreateUnbounded<Outgoing>(
        new UnboundedChannelOptions { SingleReader = true });

    private readonly CancellationTokenSource _cut = new(Timeout.InfiniteTimeSpan, time);
    private volatile bool _aborting;

    /// <summary>The link is to end: no further piece is worth sending.</summary>
    protected bool IsAborting => _aborting;

    /// <summary>Sends runs of blocks over this link.</summary>
    protected RunSender Sender { get; } = new(channel, identity.Geometry);

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
            if ((CommonMismatch() ?? Mismatch()) is { } mismatch)
            {
                await RefuseAsync(mismatch, both.Token);
                return;
            }

            began = true;
            Begin();
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
            LogBroken(logger, hello.Key, e.Message);
        }
        finally
        {
            EndUnsent();
            channel.Dispose();
            if (began) Lost(code, reason);
        }
    }

    /// <summary>Why this target cannot be served, beside what every hello has; null when it can.</summary>
    protected abstract string? Mismatch();

    /// <summary>Tells the engine of the target.</summary>
    protected abstract void Begin();

    /// <summary>Tells the engine of a message.</summary>
    /// <exception cref="FrameException">It is the source's to say.</exception>
    protected abstract void Take(DataMessage message);

    /// <summary>Sends blocks, and tells the engine that they are sent, whatever happens.</summary>
    protected abstract Task SendAsync(Outgoing blocks, CancellationToken cancellationToken);

    /// <summary>Tells the engine that these blocks will never be sent.</summary>
    protected abstract void Drop(Outgoing blocks);

    /// <summary>Tells the engine that the target is gone; null when nothing is wrong.</summary>
    protected abstract void Lost(ErrorCode? code, string reason);

    protected void Enqueue(DataMessage message) => _outbox.Writer.TryWrite(new Words(message));

    protected void Enqueue(Outgoing blocks)
    {
        if (!_outbox.Writer.TryWrite(blocks)) Drop(blocks);
    }

    /// <summary>The next thing to send, if there is one already and it is of this kind.</summary>
    protected bool TryTakeNext<T>(Predicate<T> isWanted, [NotNullWhen(true)] out T? next)
        where T : Outgoing
    {
        next = _outbox.Reader.TryPeek(out var waiting) && waiting is T candidate && isWanted(candidate)
            ? candidate
            : null;
        return next is not null && _outbox.Reader.TryRead(out _);
    }

    protected string Differs(string what, object? theirs, object ours) =>
        $"The target expects {what} {theirs}; worker {identity.WorkerId} has {ours}.";

    private string? CommonMismatch()
    {
        if (hello.Protocol != ProtocolVersion.Oldest)
            return Differs("protocol", hello.Protocol, ProtocolVersion.Oldest);
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

    private async Task RefuseAsync(string mismatch, CancellationToken cancellationToken)
    {
        using var patience = new Patience(HandoffLimits.HelloLimit, time, cancellationToken);
        LogRefused(logger, hello.TargetWorkerId, mismatch);
        var abort = new HandoffAbort { ErrorCode = nameof(ErrorCode.HandoffRefused), Message = mismatch };
        await channel.SendAsync(new DataMessage { Abort = abort }, patience.Token);
        channel.FinishSending();
        await channel.ReceiveAsync(patience.Token);
    }

    private async Task ReadAsync(CancellationToken cancellationToken)
    {
        while (await channel.ReceiveAsync(cancellationToken) is { } message)
        {
            if (message.Abort is not { } abort)
            {
                Take(message);
                continue;
            }

            Lost(
                abort.ErrorCode.Length == 0
                    ? null
                    : WireNames.ParseErrorCode(abort.ErrorCode) ?? ErrorCode.HandoffTargetLost,
                $"The target gave up: {abort.Message}");
            return;
        }
    }

    private async Task WriteAsync(TimeSpan lease, CancellationToken cancellationToken)
    {
        // Prefill may take long: signs of life keep the target from giving up.
        using var renewing = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var renewal = channel.RenewAsync(lease, time, renewing.Token);
        try
        {
            await foreach (var outgoing in _outbox.Reader.ReadAllAsync(cancellationToken))
            {
                if (outgoing is not Words words)
                {
                    await SendAsync(outgoing, cancellationToken);
                    continue;
                }

                await channel.SendAsync(words.Message, cancellationToken);
                if (words.Last) break;
            }

            channel.FinishSending();
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // The reader may be waiting for a peer that hangs: cut the link under it.
            LogBroken(logger, hello.Key, e.Message);
            await _cut.CancelAsync();
        }
        finally
        {
            _outbox.Writer.TryComplete();
            await renewing.CancelAsync();
            await renewal;
        }
    }

    private void EnqueueLast(DataMessage message)
    {
        _outbox.Writer.TryWrite(new Words(message, Last: true));
        _outbox.Writer.TryComplete();
        _cut.CancelAfter(HandoffLimits.ClosingGrace);
    }

    private void EndUnsent()
    {
        _outbox.Writer.TryComplete();
        while (_outbox.Reader.TryRead(out var outgoing))
        {
            if (outgoing is not Words) Drop(outgoing);
        }
    }

    [LoggerMessage(LogLevel.Debug, "The data link of {Key} ended: {Reason}")]
    private static partial void LogBroken(ILogger logger, Krewe.Abstractions.Wire.SequenceKey? key, string reason);

    [LoggerMessage(LogLevel.Warning, "The data link of worker {Target} is refused: {Reason}")]
    private static partial void LogRefused(ILogger logger, string target, string reason);
}
