using System.Diagnostics.CodeAnalysis;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Control.Handoff;
using Krewe.Control.Links;
using Piece = Krewe.Control.Handoff.Piece;

namespace Krewe.Workers;

/// <summary>
/// The target's side of one handoff: connects to the source, takes blocks into the arena, commits. It reports one
/// result, and only when nothing can write into the blocks any more.
/// </summary>
[SuppressMessage("Design", "CA1001:Types that own disposable fields should be disposable",
    Justification = "The engine may cancel a pull that has just ended; a disposed token source would throw there.")]
internal sealed partial class Pull : IActivePull
{
    private readonly PullRequest _request;
    private readonly IBlockTransport _transport;
    private readonly IKvArena _arena;
    private readonly WorkerIdentity _identity;
    private readonly PhaseHold? _hold;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _cancelled = new();
    private HandoffTarget _state;
    private PullResult.Aborted? _failure;
    private PrefillDone? _done;
    private PieceCursor _cursor;
    private Piece? _placed;

    public Pull(
        PullRequest request, IBlockTransport transport, IKvArena arena, WorkerIdentity identity, PhaseHold? hold,
        TimeProvider time, ILogger logger)
    {
        (_request, _transport, _arena, _identity) = (request, transport, arena, identity);
        (_hold, _time, _logger) = (hold, time, logger);
        var geometry = arena.Geometry;
        var window = (int)Math.Max(1, HandoffLimits.WindowBytes / geometry.BlockBytes);
        _state = HandoffTarget.Begin(request.Blocks.Length, request.Present, window);
        _cursor = PieceCursor.Begin(geometry.Layers);
    }

    public void Cancel(string reason)
    {
        LogCancelled(_logger, _request.Key, reason);

        // On the engine thread: the pull's own code must not run there.
        _ = _cancelled.CancelAsync();
    }

    /// <summary>Runs to the end and reports once. Does not throw.</summary>
    public async Task RunAsync(Action<PullResult> ended)
    {
        IDataChannel? channel = null;
        try
        {
            using var patience = new Patience(_request.LeaseLife, _time, _cancelled.Token);
            try
            {
                var bytes = (long)_state.Missing * _arena.Geometry.BlockBytes;
                channel = await _transport.ConnectAsync(_request.Source, bytes, patience.Renewed());
                await MoveAsync(channel, patience);
            }
            catch (Exception e) when (Explain(e, patience) is not null)
            {
                var failure = Explain(e, patience)!;
                using var grace = new Patience(HandoffLimits.ClosingGrace, _time, CancellationToken.None);
                await ApplyAsync(channel, new TargetEvent.Ended(failure.Code, failure.Reason), grace.Token);
            }

            if (_state.Stage == HandoffStage.Committed) await CloseAfterCommitAsync(channel!, ended);
        }
        finally
        {
            channel?.Dispose();
            await ApplyAsync(null, new TargetEvent.LinkClosed(), CancellationToken.None);
            if (_state.Stage != HandoffStage.Committed)
                ended(_failure ?? new PullResult.Aborted(ErrorCode.Internal, "The pull ended without a reason."));
        }
    }

    private async Task MoveAsync(IDataChannel channel, Patience patience)
    {
        await channel.SendAsync(new DataMessage { Hello = HelloMessage() }, patience.Renewed());

        // :: Step 5
        await ApplyAsync(channel, new TargetEvent.LinkUp(), patience.Renewed());
        using var renewing = CancellationTokenSource.CreateLinkedTokenSource(patience.Token);
        var renewal = channel.RenewAsync(_request.LeaseLife, _time, renewing.Token);
        try
        {
            while (_state.Stage == HandoffStage.Copying)
            {
                var message = await channel.ReceiveAsync(RoomFor, patience.Renewed())
                    ?? throw new IOException("The source closed the data link.");
                await TakeAsync(channel, message, patience.Renewed());
            }
        }
        finally
        {
            await renewing.CancelAsync();
            await renewal;
        }
    }

    private async Task TakeAsync(IDataChannel channel, DataMessage message, CancellationToken cancellationToken)
    {
        switch (message.BodyCase)
        {
            case DataMessage.BodyOneofCase.Piece:
                var piece = message.Piece.FromWire();
                if (_placed != piece) throw new FrameException($"{piece} came without its bytes.");
                _placed = null;
                _cursor = _cursor.Take(piece, out var finished);
                if (finished is { } run)
                    await ApplyAsync(channel, new TargetEvent.BlocksArrived(run), cancellationToken);
                await HoldInHandoffAsync(cancellationToken);
                break;
            case DataMessage.BodyOneofCase.Done:
                DemandExpected(message.Done);
                _done = message.Done;
                await HoldBeforeCommitAsync(cancellationToken);
                await ApplyAsync(channel, new TargetEvent.DoneArrived(_request.Blocks.Length), cancellationToken);
                break;
            case DataMessage.BodyOneofCase.Abort:
                await ApplyAsync(null, EndedBySource(message.Abort), cancellationToken);
                break;
            case DataMessage.BodyOneofCase.Renew: break;
            default: throw new FrameException($"The source sent {message.BodyCase}, which is the target's to say.");
        }
    }

    /// <summary>Applies an event; with a channel its effects are sent, without one there is nobody to tell.</summary>
    private async Task ApplyAsync(IDataChannel? channel, TargetEvent happened, CancellationToken cancellationToken)
    {
        var (state, effects) = HandoffMachine.Apply(_state, happened);
        _state = state;
        foreach (var effect in effects)
        {
            if (effect is TargetEffect.SendAbort abort) _failure ??= new PullResult.Aborted(abort.Code, abort.Reason);
            if (channel is not null && MessageFor(effect) is { } message)
                await SendAsync(channel, message, cancellationToken);
        }
    }

    /// <summary>
    /// An abort is a courtesy on a link that may be broken; a lost commit costs the source a lease, nobody a token.
    /// </summary>
    private async Task SendAsync(IDataChannel channel, DataMessage message, CancellationToken cancellationToken)
    {
        var needed = message.BodyCase == DataMessage.BodyOneofCase.Pull;
        try
        {
            await channel.SendAsync(message, cancellationToken);
        }
        catch (Exception e) when (!needed && e is IOException or OperationCanceledException)
        {
            LogUnsaid(_logger, _request.Key, message.BodyCase, e.Message);
        }
    }

    private static DataMessage? MessageFor(TargetEffect effect) => effect switch
    {
        TargetEffect.GrantCredit credit => new DataMessage { Pull = new PullBlocks { Count = (uint)credit.Blocks } },
        TargetEffect.Commit => new DataMessage { Commit = new Commit() },
        TargetEffect.SendAbort abort => new DataMessage
        {
            Abort = new HandoffAbort { ErrorCode = abort.Code?.ToString() ?? "", Message = abort.Reason },
        },
        TargetEffect.Free => null, // the engine frees when it hears of the result
        _ => throw new ArgumentOutOfRangeException(nameof(effect), effect, "An effect without a deed."),
    };

    /// <summary>Decoding begins at once; the link only waits for the source to have read the commit.</summary>
    private async Task CloseAfterCommitAsync(IDataChannel channel, Action<PullResult> ended)
    {
        var moved = _state.Arrived;
        ended(new PullResult.Committed(
            (int)_done!.FirstToken, _done.Logprobs, moved, (long)moved * _arena.Geometry.BlockBytes));
        using var patience = new Patience(HandoffLimits.ClosingGrace, _time, _cancelled.Token);
        try
        {
            while (await channel.ReceiveAsync(patience.Token) is { } last)
            {
                if (last.BodyCase == DataMessage.BodyOneofCase.Committed) return;
            }
        }
        catch (Exception e) when (Explain(e, patience) is not null)
        {
            LogUnsaid(_logger, _request.Key, DataMessage.BodyOneofCase.Committed, e.Message);
        }
    }

    /// <summary>A piece's place: only blocks that are missing, were asked for and are next are ever written.</summary>
    private ReadOnlyMemory<BlockSlice> RoomFor(DataMessage message, int payloadBytes)
    {
        if (message.Piece is null)
            throw new FrameException($"{message.BodyCase} with {payloadBytes} bytes of payload.");
        var piece = message.Piece.FromWire();
        var run = _cursor.Demand(piece);
        if (!_state.Expects(run))
            throw new FrameException($"{run} came uncalled for; block {_state.Next} was next.");
        _placed = piece;
        return BlockSlice.Of(piece, _request.Blocks, offset: 0, _arena.Geometry);
    }

    private PullHello HelloMessage()
    {
        var hello = new PullHello
        {
            Protocol = ProtocolVersion.Oldest,
            Key = _request.Key.ToWire(),
            TargetWorkerId = _identity.WorkerId,
            SourceIncarnation = _request.Source.Incarnation,
            ModelFingerprint = _identity.ModelFingerprint,
            Numerics = _identity.Numerics.ToString(),
            Kv = _identity.Geometry.ToWire(),
            LeaseMs = (uint)_request.LeaseLife.TotalMilliseconds,
        };
        hello.PresentRuns.Add(_request.Present.ToPairs());
        return hello;
    }

    private void DemandExpected(PrefillDone done)
    {
        if (done.ComputedTokens != _request.ContextTokens || done.FirstIndex != _request.OutputIndex)
        {
            throw new FrameException($"The source computed {done.ComputedTokens} tokens and drew output "
                + $"{done.FirstIndex}; {_request.ContextTokens} and {_request.OutputIndex} were expected.");
        }
    }

    // An abort without a code: the stream ended with its first token, or its owner wants it no more.
    private static TargetEvent.Ended EndedBySource(HandoffAbort abort) => abort.ErrorCode.Length == 0
        ? new TargetEvent.Ended(null, abort.Message)
        : new TargetEvent.Ended(WireNames.ParseErrorCode(abort.ErrorCode) ?? ErrorCode.HandoffRefused, abort.Message);

    private PullResult.Aborted? Explain(Exception e, Patience patience) => e switch
    {
        OperationCanceledException when _cancelled.IsCancellationRequested =>
            new PullResult.Aborted(null, "The sequence was ended here."),
        OperationCanceledException when patience.IsOver => new PullResult.Aborted(ErrorCode.HandoffTimeout,
            $"The source {_request.Source.WorkerId} was silent for {_request.LeaseLife.TotalMilliseconds} ms."),
        FrameException => new PullResult.Aborted(ErrorCode.HandoffCorrupt, e.Message),
        IOException => new PullResult.Aborted(ErrorCode.HandoffSourceLost, e.Message),
        _ => null,
    };

    [LoggerMessage(LogLevel.Debug, "Step 5: the pull of {Key} is cancelled: {Reason}")]
    private static partial void LogCancelled(ILogger logger, Krewe.Abstractions.SequenceKey key, string reason);

    [LoggerMessage(LogLevel.Debug, "Step 6: {Key}: {Message} got lost: {Reason}")]
    private static partial void LogUnsaid(
        ILogger logger, Krewe.Abstractions.SequenceKey key, DataMessage.BodyOneofCase message, string reason);
}
