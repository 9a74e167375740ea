using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Control.Handoff;
using Krewe.Control.Links;
using Krewe.Control.Migration;
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
/// The target's side of one migration: takes blocks into the arena while the source decodes, and commits when the
/// engine has taken the sequence over. Without that it reports one end, and only when nothing can write into the blocks
/// any more.
/// </summary>
internal sealed class MigrationPull(
    MigrationRequest request, IBlockTransport transport, IKvArena arena, WorkerIdentity identity,
    Action<EngineCommand> post, PhaseHold? hold, TimeProvider time, ILogger logger)
    : TargetConnection(request.Key, request.Source, request.LeaseLife, transport, arena, time, logger)
{
    private readonly List<int> _tokens = [];
    private readonly List<TokenLogprobs> _logprobs = [];
    private MigrationTarget _state = MigrationTarget.Begin(
        request.PresentBlocks, request.Blocks.Length, MigrationLimits.WindowBlocksUsual);

    private BlockId[] _blocks = request.Blocks;
    private (ErrorCode? Code, string Reason)? _failure;

    protected override bool IsCopying => _state.Stage == MigrationStage.Copying;

    protected override bool IsCommitted => _state.Stage == MigrationStage.Committed;

    protected override int MissingBlocks => request.Blocks.Length - request.PresentBlocks;

    protected override BlockId[] Blocks => _blocks;

    /// <summary>Runs to the end and reports once. Does not throw.</summary>
    public async Task RunAsync()
    {
        try
        {
            await RunToEndAsync();
        }
        finally
        {
            if (!IsCommitted)
            {
                var (code, reason) = _failure ?? (ErrorCode.Internal, "The migration ended without a reason.");
                post(new EngineCommand.Migration.Aborted(request.Key, code, reason));
            }
        }
    }

    protected override DataMessage Hello() => new()
    {
        Migrate = new MigrateHello
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
        },
    };

    protected override Task LinkUpAsync(IDataChannel channel, CancellationToken cancellationToken) =>
        ApplyAsync(channel, new MigrationTargetEvent.LinkUp(), cancellationToken);

    protected override async Task TakeAsync(
        IDataChannel channel, DataMessage message, CancellationToken cancellationToken)
    {
        switch (message.BodyCase)
        {
            case DataMessage.BodyOneofCase.Piece:
                if (TakePiece(message.Piece.FromWire()) is { } run)
                    await TakeRunAsync(channel, run, cancellationToken);
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
            default: throw new FrameException($"The source sent {message.BodyCase}, which is the target's to say.");
        }
    }

    protected override Task EndAsync(
        IDataChannel? channel, ErrorCode? code, string reason, CancellationToken cancellationToken) =>
        ApplyAsync(channel, new MigrationTargetEvent.Ended(code, reason), cancellationToken);

    // The engine knows: it took the sequence over before the commit was sent.
    protected override void Committed()
    {
    }

    protected override Task LinkClosedAsync() =>
        ApplyAsync(null, new MigrationTargetEvent.LinkClosed(), CancellationToken.None);

    protected override void DemandAsked(BlockRun run)
    {
        if (run.First != _state.Next || run.End > _state.Room)
            throw new FrameException($"{run} came uncalled for; {_state.Next} of {_state.Room} was next.");
    }

    private async Task TakeRunAsync(IDataChannel channel, BlockRun run, CancellationToken cancellationToken)
    {
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
        var needed = (tail.ComputedTokens + Geometry.BlockTokens - 1) / Geometry.BlockTokens;
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
                (int)tail.ComputedTokens, _tokens, _logprobs, moved, (long)moved * Geometry.BlockBytes,
                (int)tail.FrozenBlocks),
            answer.SetResult));
        return answer.Task.WaitAsync(Cancelled);
    }

    private async Task ReserveAsync(IDataChannel? channel, int blocks, CancellationToken cancellationToken)
    {
        var answer = new TaskCompletionSource<BlockId[]?>(TaskCreationOptions.RunContinuationsAsynchronously);
        post(new EngineCommand.Migration.RoomAsked(request.Key, blocks, answer.SetResult));
        if (await answer.Task.WaitAsync(Cancelled) is { } reserved)
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
                    await SendAsync(
                        channel, AbortMessage(abort.Code, abort.Reason), isNeeded: false, cancellationToken);
                    break;
                case MigrationTargetEffect.Free: break; // the engine frees when it hears of the end
                default: throw new ArgumentOutOfRangeException(nameof(happened), effect, "An effect without a deed.");
            }
        }
    }

    private Task HoldAsync(HoldPhase phase, CancellationToken cancellationToken) =>
        hold is null ? Task.CompletedTask : hold.StayIfClaimedAsync(phase, cancellationToken);
}
