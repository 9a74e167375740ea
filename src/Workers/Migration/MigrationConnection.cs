using Krewe.Abstractions.Wire;
using Krewe.Control.Handoff;
using Krewe.Control.Links;
using BlockId = Krewe.Abstractions.BlockId;
using ErrorCode = Krewe.Abstractions.ErrorCode;
using SequenceKey = Krewe.Abstractions.SequenceKey;

namespace Krewe.Workers;

/// <summary>
/// The source's link to the target of one migration. Each block given to it is answered by one BlockSent, also when the
/// link breaks.
/// </summary>
internal sealed class MigrationConnection(
    IDataChannel channel, MigrateHello hello, WorkerIdentity identity, Action<EngineCommand> post, PhaseHold? hold,
    TimeProvider time, ILogger logger)
    : SourceConnection(channel, hello, identity, time, logger), IMigrationLink
{
    private sealed record Block(int Index, BlockId Id) : Outgoing;

    private readonly MigrateHello _hello = hello;
    private readonly SequenceKey _source = hello.Key.FromWire() with { Epoch = (int)hello.SourceEpoch };

    public void SendBlock(int index, BlockId block) => Enqueue(new Block(index, block));

    public void AskRoom(int blocks) =>
        Enqueue(new DataMessage { MigrateRoom = new MigrateRoom { Blocks = (uint)blocks } });

    public void SendTail(IReadOnlyList<MigrateTokens> tokens, MigrateTail tail)
    {
        foreach (var part in tokens) Enqueue(new DataMessage { MigrateTokens = part });
        Enqueue(new DataMessage { MigrateTail = tail });
    }

    protected override string? Mismatch() => _hello.SourceEpoch >= _hello.Key.Epoch
        ? $"Epoch {_hello.Key.Epoch} cannot follow epoch {_hello.SourceEpoch}."
        : null;

    protected override void Begin() => post(new EngineCommand.Migration.TargetArrived(this, _hello));

    protected override void Take(DataMessage message)
    {
        switch (message.BodyCase)
        {
            case DataMessage.BodyOneofCase.MigrateProgress:
                var progress = message.MigrateProgress;
                post(new EngineCommand.Migration.TargetSign(
                    this, _source, Clamp(progress.ReceivedBlocks), Clamp(progress.RoomBlocks)));
                break;
            case DataMessage.BodyOneofCase.Renew:
                post(new EngineCommand.Migration.TargetSign(this, _source, 0, 0));
                break;
            case DataMessage.BodyOneofCase.Commit:
                post(new EngineCommand.Migration.TargetCommitted(this, _source));
                break;
            default: throw new FrameException($"The target sent {message.BodyCase}, which is the source's to say.");
        }
    }

    /// <summary>Sends a block, and those behind it that wait already, as one run: few large pieces.</summary>
    protected override async Task SendAsync(Outgoing outgoing, CancellationToken cancellationToken)
    {
        var first = (Block)outgoing;
        List<BlockId> blocks = [first.Id];
        while (TryTakeNext<Block>(next => next.Index == first.Index + blocks.Count, out var next)) blocks.Add(next.Id);
        try
        {
            await Sender.SendAsync(
                new BlockRun(first.Index, blocks.Count), [.. blocks], progress: null,
                () => Task.FromResult(!IsAborting), cancellationToken);
        }
        finally
        {
            for (var i = 0; i < blocks.Count; i++) Answer();
        }

        if (hold is not null) await hold.StayIfClaimedAsync(HoldPhase.MigrationSending, cancellationToken);
    }

    protected override void Drop(Outgoing blocks) => Answer();

    protected override void Lost(ErrorCode? code, string reason) =>
        post(new EngineCommand.Migration.TargetLost(this, _source, code, reason));

    private void Answer() => post(new EngineCommand.Migration.BlockSent(this, _source));

    // Counts are the peer's word: beyond this they are nonsense either way, and must not turn negative.
    private static int Clamp(uint count) => (int)Math.Min(count, int.MaxValue / 2);
}
