using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Control.Handoff;
using Krewe.Control.Links;

namespace Krewe.Workers;

/// <summary>
/// The target's side of one handoff: takes blocks into the arena and commits. It reports one result, and only when
/// nothing can write into the blocks any more.
/// </summary>
internal sealed partial class Pull : TargetConnection
{
    private readonly PullRequest _request;
    private readonly WorkerIdentity _identity;
    private readonly PhaseHold? _hold;
    private HandoffTarget _state;
    private PullResult.Aborted? _failure;
    private PrefillDone? _done;
    private Action<PullResult>? _ended;

    public Pull(
        PullRequest request, IBlockTransport transport, IKvArena arena, WorkerIdentity identity, PhaseHold? hold,
        TimeProvider time, ILogger logger)
        : base(request.Key, request.Source, request.LeaseLife, transport, arena, time, logger)
    {
        (_request, _identity, _hold) = (request, identity, hold);
        var window = (int)Math.Max(1, HandoffLimits.WindowBytes / arena.Geometry.BlockBytes);
        _state = HandoffTarget.Begin(request.Blocks.Length, request.Present, window);
    }

    protected override bool IsCopying => _state.Stage == HandoffStage.Copying;

    protected override bool IsCommitted => _state.Stage == HandoffStage.Committed;

    protected override int MissingBlocks => _state.Missing;

    protected override BlockId[] Blocks => _request.Blocks;

    /// <summary>Runs to the end and reports once. Does not throw.</summary>
    public async Task RunAsync(Action<PullResult> ended)
    {
        _ended = ended;
        try
        {
            await RunToEndAsync();
        }
        finally
        {
            if (!IsCommitted)
                ended(_failure ?? new PullResult.Aborted(ErrorCode.Internal, "The pull ended without a reason."));
        }
    }

    protected override DataMessage Hello()
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
        return new DataMessage { Hello = hello };
    }

    // :: Step 5
    protected override Task LinkUpAsync(IDataChannel channel, CancellationToken cancellationToken) =>
        ApplyAsync(channel, new TargetEvent.LinkUp(), cancellationToken);

    protected override async Task TakeAsync(
        IDataChannel channel, DataMessage message, CancellationToken cancellationToken)
    {
        switch (message.BodyCase)
        {
            case DataMessage.BodyOneofCase.Piece:
                if (TakePiece(message.Piece.FromWire()) is { } run)
                    await ApplyAsync(channel, new TargetEvent.BlocksArrived(run), cancellationToken);
                await HoldInHandoffAsync(cancellationToken);
                break;
            case DataMessage.BodyOneofCase.Done:
                DemandExpected(message.Done);
                _done = message.Done;
                await HoldBeforeCommitAsync(cancellationToken);
                await ApplyAsync(channel, new TargetEvent.DoneArrived(_request.Blocks.Length), cancellationToken);
                break;
            default: throw new FrameException($"The source sent {message.BodyCase}, which is the target's to say.");
        }
    }

    protected override Task EndAsync(
        IDataChannel? channel, ErrorCode? code, string reason, CancellationToken cancellationToken) =>
        ApplyAsync(channel, new TargetEvent.Ended(code, reason), cancellationToken);

    protected override void Committed()
    {
        var moved = _state.Arrived;
        _ended!(new PullResult.Committed(
            (int)_done!.FirstToken, _done.Logprobs, moved, (long)moved * Geometry.BlockBytes));
    }

    protected override Task LinkClosedAsync() =>
        ApplyAsync(null, new TargetEvent.LinkClosed(), CancellationToken.None);

    protected override void DemandAsked(BlockRun run)
    {
        if (!_state.Expects(run))
            throw new FrameException($"{run} came uncalled for; block {_state.Next} was next.");
    }

    /// <summary>Applies an event; with a channel its effects are sent, without one there is nobody to tell.</summary>
    private async Task ApplyAsync(IDataChannel? channel, TargetEvent happened, CancellationToken cancellationToken)
    {
        var (state, effects) = HandoffMachine.Apply(_state, happened);
        _state = state;
        foreach (var effect in effects)
        {
            if (effect is TargetEffect.SendAbort abort) _failure ??= new PullResult.Aborted(abort.Code, abort.Reason);
            if (MessageFor(effect) is { } message)
                await SendAsync(channel, message, isNeeded: message.Pull is not null, cancellationToken);
        }
    }

    private static DataMessage? MessageFor(TargetEffect effect) => effect switch
    {
        TargetEffect.GrantCredit credit => new DataMessage { Pull = new PullBlocks { Count = (uint)credit.Blocks } },
        TargetEffect.Commit => new DataMessage { Commit = new Commit() },
        TargetEffect.SendAbort abort => AbortMessage(abort.Code, abort.Reason),
        TargetEffect.Free => null, // the engine frees when it hears of the result
        _ => throw new ArgumentOutOfRangeException(nameof(effect), effect, "An effect without a deed."),
    };

    private void DemandExpected(PrefillDone done)
    {
        if (done.ComputedTokens != _request.ContextTokens || done.FirstIndex != _request.OutputIndex)
        {
            throw new FrameException($"The source computed {done.ComputedTokens} tokens and drew output "
                + $"{done.FirstIndex}; {_request.ContextTokens} and {_request.OutputIndex} were expected.");
        }
    }
}
