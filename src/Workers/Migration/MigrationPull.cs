using System.Diagnostics.CodeAnalysis;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Control.Handoff;
using Krewe.Control.Links;
using Krewe.Control.Migration;
using Piece = Krewe.Control.Handoff.Piece;
using SequenceKey = Krewe.Abstractions.SequenceKey;

namespace Krewe.Workers;

/// <summary>What the target asks of a source.</summary>
/// <param name="Key">The sequence under its new epoch.</param>
/// <param name="SourceEpoch">The epoch that the source runs.</param>
/// <param name="Source">Where it runs.</param>
/// <param name="Blocks">Reserved blocks, by logical index.</param>
/// <param name="PresentBlocks">Blocks before this one hold the right content already (prefix cache).</param>
/// <param name="KnownTokens">Tokens that the target knows: prompt and output.</param>
/// <param name="OutputTokens">Of them, output.</param>
/// <param name="LeaseLife">Silence after which the source is given up.</param>
internal sealed record MigrationRequest(
    SequenceKey Key, int SourceEpoch, DataAddress Source, BlockId[] Blocks, int PresentBlocks, int KnownTokens,
    int OutputTokens, TimeSpan LeaseLife);

/// <summary>What came beside the blocks.</summary>
/// <param name="ComputedTokens">Tokens with KV in the blocks.</param>
/// <param name="Tokens">Output tokens behind those that the target knew.</param>
/// <param name="Logprobs">Empty or one a token.</param>
/// <param name="BlocksMoved">Blocks that travelled.</param>
/// <param name="BytesMoved">Their bytes.</param>
/// <param name="FrozenBlocks">Of them, after the source had stopped.</param>
internal sealed record MigratedState(
    int ComputedTokens, IReadOnlyList<int> Tokens, IReadOnlyList<TokenLogprobs> Logprobs, int BlocksMoved,
    long BytesMoved, int FrozenBlocks);

/// <summary>
/// The target's side of one migration: connects to the source, takes blocks into the arena while the source decodes,
/// and commits when the engine has taken the sequence over. Without that it reports one end, and only when nothing can
/// write into the blocks any more.
/// </summary>
[SuppressMessage("Design", "CA1001:Types that own disposable fields should be disposable",
    Justification = "The engine may cancel one that has just ended; a disposed token source would throw there.")]
internal sealed partial class MigrationPull(
    MigrationRequest request, IBlockTransport transport, IKvArena arena, WorkerIdentity identity,
    Action<EngineCommand> post, PhaseHold? hold, TimeProvider time, ILogger logger) : IActivePull
{
    private readonly CancellationTokenSource _cancelled = new();
    private readonly List<int> _tokens = [];
    private readonly List<TokenLogprobs> _logprobs = [];
    private MigrationTarget _state = MigrationTarget.Begin(
        request.PresentBlocks, request.Blocks.Length, MigrationLimits.WindowBlocksUsual);

    private BlockId[] _blocks = request.Blocks;
    private (ErrorCode? Code, string Reason)? _failure;
    private PieceCursor _cursor = PieceCursor.Begin(arena.Geometry.Layers);
    private Piece? _placed;

    public void Cancel(string reason)
    {
        LogCancelled(logger, request.Key, reason);

        // On the engine thread: this side's own code must not run there.
        _ = _cancelled.CancelAsync();
    }

    /// <summary>Runs to the end and reports once. Does not throw.</summary>
    public async Task RunAsync()
    {
        IDataChannel? channel = null;
        try
        {
            using var patience = new Patience(request.LeaseLife, time, _cancelled.Token);
            try
            {
                var bytes = (long)(request.Blocks.Length - request.PresentBlocks) * arena.Geometry.BlockBytes;
                channel = await transport.ConnectAsync(request.Source, bytes, patience.Renewed());
                await MoveAsync(channel, patience);
            }
            catch (Exception e) when (Explain(e, patience) is not null)
            {
                var (code, reason) = Explain(e, patience)!.Value;
                using var grace = new Patience(HandoffLimits.ClosingGrace, time, CancellationToken.None);
                await ApplyAsync(channel, new MigrationTargetEvent.Ended(code, reason), grace.Token);
            }

            if (_state.Stage == MigrationStage.Committed) await CloseAfterCommitAsync(channel!);
        }
        finally
        {
            channel?.Dispose();
            await ApplyAsync(null, new MigrationTargetEvent.LinkClosed(), CancellationToken.None);
            if (_state.Stage != MigrationStage.Committed)
            {
                var (code, reason) = _failure ?? (ErrorCode.Internal, "The migration ended without a reason.");
                post(new EngineCommand.Migration.Aborted(request.Key, code, reason));
            }
        }
    }

    private async Task MoveAsync(IDataChannel channel, Patience patience)
    {
        await channel.SendAsync(new DataMessage { Migrate = HelloMessage() }, patience.Renewed());
        await ApplyAsync(channel, new MigrationTargetEvent.LinkUp(), patience.Renewed());
        using var renewing = CancellationTokenSource.CreateLinkedTokenSource(patience.Token);
        var renewal = channel.RenewAsync(request.LeaseLife, time, renewing.Token);
        try
        {
            while (_state.Stage == MigrationStage.Copying)
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
                await TakePieceAsync(channel, message.Piece.FromWire(), cancellationToken);
                await HoldAsync(HoldPhase.MigrationCopying, cancellationToken);
                break;
            case DataMessage.BodyOneofCase.MigrateRoom:
                var asked = (int)Math.Min(message.MigrateRoom.Blocks, int.MaxValue);
                await ApplyAsync(channel, new MigrationTargetEvent.RoomAsked(asked), cancellationToken);
                break;
            case DataMessage.BodyOneofCase.MigrateTokens: TakeTokens(message.MigrateTokens); break;
            case DataMessage.BodyOneofCase.MigrateTail:
                await HoldAsync(HoldPhase.MigrationFrozen, cancellationToken);
                await TakeTailAsync(channel, message.MigrateTail, cancellationToken);
                break;
            case DataMessage.BodyOneofCase.Abort:
                await ApplyAsync(null, EndedBySource(message.Abort), cancellationToken);
                break;
            case DataMessage.BodyOneofCase.Renew: break;
            default: throw new FrameException($"The source sent {message.BodyCase}, which is the target's to say.");
        }
    }

    private async Task TakePieceAsync(IDataChannel channel, Piece piece, CancellationToken cancellationToken)
    {
        if (_placed != piece) throw new FrameException($"{piece} came without its bytes.");
        _placed = null;
        _cursor = _cursor.Take(piece, out var finished);
        if (finished is not { } run) return;
        for (var block = run.First; block < run.End; block++)
        {
            // The source needs to hear of the last one only.
            await ApplyAsync(
                block == run.End - 1 ? channel : null, new MigrationTargetEvent.BlockArrived(block),
                cancellationToken);
        }
    }

    private void TakeTokens(MigrateTokens message)
    {
        var due = request.OutputTokens + _tokens.Count;
        if (message.FirstIndex != due)
            throw new FrameException($"Output {message.FirstIndex} came where output {due} was due.");
        if (message.Logprobs.Count != 0 && message.Logprobs.Count != message.Tokens.Count)
            throw new FrameException($"{message.Tokens.Count} tokens came with {message.Logprobs.Count} logprobs.");
        _tokens.AddRange(message.Tokens.Select(token => (int)token));
        _logprobs.AddRange(message.Logprobs);
    }

    /// <summary>The engine takes over first: a source that heard of a commit frees, and somebody must own it
    /// then.</summary>
    private async Task TakeTailAsync(IDataChannel channel, MigrateTail tail, CancellationToken cancellationToken)
    {
        if (tail.KnownTokens != request.KnownTokens + _tokens.Count || tail.ComputedTokens >= tail.KnownTokens)
        {
            throw new FrameException($"The source has {tail.ComputedTokens} of {tail.KnownTokens} tokens computed; "
                + $"{request.KnownTokens + _tokens.Count} are known here.");
        }

        var arrived = new MigrationTargetEvent.TailArrived((int)tail.Blocks);
        var needed = (tail.ComputedTokens + arena.Geometry.BlockTokens - 1) / arena.Geometry.BlockTokens;
        if (tail.Blocks < needed) throw new FrameException($"{tail.Blocks} blocks for {tail.ComputedTokens} tokens.");
        if (MigrationMachine.Apply(_state, arrived).State.Stage == MigrationStage.Committed
            && !await TakeOverAsync(tail))
        {
            await ApplyAsync(channel, new MigrationTargetEvent.Ended(null, "It was ended here."), cancellationToken);
            return;
        }

        await ApplyAsync(channel, arrived, cancellationToken);
    }

    private Task<bool> TakeOverAsync(MigrateTail tail)
    {
        var moved = _state.Next - request.PresentBlocks;
        var answer = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        post(new EngineCommand.Migration.Arrived(
            request.Key,
            new MigratedState(
                (int)tail.ComputedTokens, _tokens, _logprobs, moved, (long)moved * arena.Geometry.BlockBytes,
                (int)tail.FrozenBlocks),
            answer.SetResult));
        return answer.Task.WaitAsync(_cancelled.Token);
    }

    private async Task ReserveAsync(IDataChannel? channel, int blocks, CancellationToken cancellationToken)
    {
        var answer = new TaskCompletionSource<BlockId[]?>(TaskCreationOptions.RunContinuationsAsynchronously);
        post(new EngineCommand.Migration.RoomAsked(request.Key, blocks, answer.SetResult));
        if (await answer.Task.WaitAsync(_cancelled.Token) is { } reserved)
        {
            _blocks = reserved;
            await ApplyAsync(channel, new MigrationTargetEvent.RoomReserved(reserved.Length), cancellationToken);
            return;
        }

        await ApplyAsync(channel, new MigrationTargetEvent.RoomRefused(
            $"The target {identity.WorkerId} has no room for {blocks} blocks."), cancellationToken);
    }

    /// <summary>Applies an event; with a channel its effects are sent, without one there is nobody to tell.</summary>
    private async Task ApplyAsync(
        IDataChannel? channel, MigrationTargetEvent happened, CancellationToken cancellationToken)
    {
        (_state, var effects) = MigrationMachine.Apply(_state, happened);
        foreach (var effect in effects)
        {
            switch (effect)
            {
                case MigrationTargetEffect.TellProgress progress:
                    await SendAsync(channel, new DataMessage
                    {
                        MigrateProgress = new MigrateProgress
                        {
                            ReceivedBlocks = (uint)progress.Received,
                            RoomBlocks = (uint)progress.Room,
                        },
                    }, isNeeded: true, cancellationToken);
                    break;
                case MigrationTargetEffect.Reserve reserve:
                    await ReserveAsync(channel, reserve.Blocks, cancellationToken);
                    break;
                case MigrationTargetEffect.Commit:
                    await SendAsync(
                        channel, new DataMessage { Commit = new Commit() }, isNeeded: false, cancellationToken);
                    break;
                case MigrationTargetEffect.SendAbort abort:
                    _failure = (abort.Code, abort.Reason);
                    await SendAsync(channel, new DataMessage
                    {
                        Abort = new HandoffAbort { ErrorCode = abort.Code?.ToString() ?? "", Message = abort.Reason },
                    }, isNeeded: false, cancellationToken);
                    break;
                case MigrationTargetEffect.Free: break; // the engine frees when it hears of the end
                default: throw new ArgumentOutOfRangeException(nameof(happened), effect, "An effect without a deed.");
            }
        }
    }

    /// <summary>A commit or an abort that gets lost changes nothing here: the owner settles who computes.</summary>
    private async Task SendAsync(
        IDataChannel? channel, DataMessage message, bool isNeeded, CancellationToken cancellationToken)
    {
        if (channel is null) return;
        try
        {
            await channel.SendAsync(message, cancellationToken);
        }
        catch (Exception e) when (!isNeeded && e is IOException or OperationCanceledException)
        {
            LogUnsaid(logger, request.Key, message.BodyCase, e.Message);
        }
    }

    private async Task CloseAfterCommitAsync(IDataChannel channel)
    {
        using var patience = new Patience(HandoffLimits.ClosingGrace, time, _cancelled.Token);
        try
        {
            while (await channel.ReceiveAsync(patience.Token) is { } last)
            {
                if (last.BodyCase == DataMessage.BodyOneofCase.Committed) return;
            }
        }
        catch (Exception e) when (Explain(e, patience) is not null)
        {
            LogUnsaid(logger, request.Key, DataMessage.BodyOneofCase.Committed, e.Message);
        }
    }

    private ReadOnlyMemory<BlockSlice> RoomFor(DataMessage message, int payloadBytes)
    {
        if (message.BodyCase != DataMessage.BodyOneofCase.Piece)
            throw new FrameException($"{message.BodyCase} with {payloadBytes} bytes of payload.");
        var (piece, geometry) = (message.Piece.FromWire(), arena.Geometry);
        var run = _cursor.Demand(piece);
        if (run.First != _state.Next || run.End > _state.Room)
            throw new FrameException($"{run} came uncalled for; {_state.Next} of {_state.Room} was next.");
        if (payloadBytes != piece.Blocks * piece.Layers * geometry.LayerBytes)
            throw new FrameException($"{piece} came with {payloadBytes} bytes.");
        _placed = piece;
        return BlockSlice.Of(piece, _blocks, 0, geometry);
    }

    private MigrateHello HelloMessage() => new()
    {
        Protocol = ProtocolVersion.Oldest,
        Key = request.Key.ToWire(),
        SourceEpoch = (uint)request.SourceEpoch,
        TargetWorkerId = identity.WorkerId,
        SourceIncarnation = request.Source.Incarnation,
        ModelFingerprint = identity.ModelFingerprint,
        Numerics = identity.Numerics.ToString(),
        Kv = identity.Geometry.ToWire(),
        PresentBlocks = (uint)request.PresentBlocks,
        RoomBlocks = (uint)request.Blocks.Length,
        KnownTokens = (uint)request.KnownTokens,
        LeaseMs = (uint)request.LeaseLife.TotalMilliseconds,
    };

    private Task HoldAsync(HoldPhase phase, CancellationToken cancellationToken) =>
        hold is null ? Task.CompletedTask : hold.StayIfClaimedAsync(phase, cancellationToken);

    // An abort without a code: nothing is wrong, the sequence only ended or stays where it is.
    private static MigrationTargetEvent.Ended EndedBySource(HandoffAbort abort) => abort.ErrorCode.Length == 0
        ? new MigrationTargetEvent.Ended(null, abort.Message)
        : new MigrationTargetEvent.Ended(
            WireNames.ParseErrorCode(abort.ErrorCode) ?? ErrorCode.HandoffRefused, abort.Message);

    private (ErrorCode? Code, string Reason)? Explain(Exception e, Patience patience) => e switch
    {
        OperationCanceledException when _cancelled.IsCancellationRequested => (null, "The sequence was ended here."),
        OperationCanceledException when patience.IsOver => (ErrorCode.HandoffTimeout,
            $"The source {request.Source.WorkerId} was silent for {request.LeaseLife.TotalMilliseconds} ms."),
        FrameException => (ErrorCode.HandoffCorrupt, e.Message),
        IOException => (ErrorCode.HandoffSourceLost, e.Message),
        _ => null,
    };

    [LoggerMessage(LogLevel.Debug, "The migration of {Key} to here is cancelled: {Reason}")]
    private static partial void LogCancelled(ILogger logger, SequenceKey key, string reason);

    [LoggerMessage(LogLevel.Debug, "{Key}: {Message} got lost: {Reason}")]
    private static partial void LogUnsaid(
        ILogger logger, SequenceKey key, DataMessage.BodyOneofCase message, string reason);
}
