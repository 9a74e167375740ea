using Krewe.Abstractions.Wire;
using Krewe.Control.Handoff;
using Krewe.Control.Links;
using ErrorCode = Krewe.Abstractions.ErrorCode;
using SequenceKey = Krewe.Abstractions.SequenceKey;

namespace Krewe.Workers;

/// <summary>
/// The source's link to one puller of a handoff. Each run given to it is answered by one SendEnded, also when the link
/// breaks.
/// </summary>
internal sealed partial class PullerConnection(
    IDataChannel channel, PullHello hello, WorkerIdentity identity, Action<EngineCommand> post, PhaseHold? hold,
    TimeProvider time, ILogger logger)
    : SourceConnection(channel, hello, identity, time, logger), IPullerLink
{
    private sealed record Blocks(BlockRun Run, Krewe.Abstractions.BlockId[] Ids, StepProgress? Progress) : Outgoing;

    private readonly SequenceKey _key = hello.Key.FromWire();
    private readonly BlockRuns? _present = BlockRuns.FromPairs(hello.PresentRuns);

    public void SendBlocks(BlockRun run, Krewe.Abstractions.BlockId[] blocks, StepProgress? progress) =>
        Enqueue(new Blocks(run, blocks, progress));

    public void SendDone(PrefillDone done) => Enqueue(new DataMessage { Done = done });

    protected override string? Mismatch() =>
        _present is null ? "The hello's present_runs are no set of blocks." : null;

    protected override void Begin() => post(new EngineCommand.PullerArrived(this, _key, _present!));

    protected override void Take(DataMessage message)
    {
        switch (message.BodyCase)
        {
            case DataMessage.BodyOneofCase.Pull:
                post(new EngineCommand.PullerSign(this, _key, (int)Math.Min(message.Pull.Count, int.MaxValue)));
                break;
            case DataMessage.BodyOneofCase.Renew: post(new EngineCommand.PullerSign(this, _key, 0)); break;
            case DataMessage.BodyOneofCase.Commit: post(new EngineCommand.PullerCommitted(this, _key)); break;
            default: throw new FrameException($"The target sent {message.BodyCase}, which is the source's to say.");
        }
    }

    protected override async Task SendAsync(Outgoing outgoing, CancellationToken cancellationToken)
    {
        var (blocks, pieces) = ((Blocks)outgoing, 0);
        try
        {
            await Sender.SendAsync(blocks.Run, blocks.Ids, blocks.Progress, GoesOnAsync, cancellationToken);
        }
        finally
        {
            Answer();
        }

        await HoldInHandoffAsync(cancellationToken);

        async Task<bool> GoesOnAsync()
        {
            if (pieces++ > 0) await HoldInHandoffAsync(cancellationToken);
            return !IsAborting;
        }
    }

    protected override void Drop(Outgoing blocks) => Answer();

    protected override void Lost(ErrorCode? code, string reason) =>
        post(new EngineCommand.PullerLost(this, _key, code, reason));

    private void Answer() => post(new EngineCommand.SendEnded(this, _key));
}
