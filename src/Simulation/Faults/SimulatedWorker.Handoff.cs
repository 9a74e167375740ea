using Krewe.Abstractions;
using Krewe.Control.Handoff;

namespace Krewe.Simulation.Faults;

/// <summary>
/// Both ends of a handoff: feeds the machines of Control and performs their effects over a data link.
/// </summary>
internal sealed partial class SimulatedWorker
{
    private const int Window = 4;

    private long LeaseNs => (long)world.Cluster.HandoffLease.TotalMilliseconds * FaultWorld.Millisecond;

    // ---- source ----

    private void BeginSource(WorkerSequence sequence)
    {
        sequence.Source = HandoffSource.Begin(BlocksFor(sequence.Tokens.Count));
        sequence.LastSign = world.Now;
        Watch(sequence, () => EndSource(
            sequence, ErrorCode.LeaseExpired, "nobody pulled within the lease"));
    }

    private void BlocksFilled(WorkerSequence sequence, int blocks)
    {
        if (sequence.Source is null) return;
        sequence.LastSign = world.Now;
        Step(sequence, new SourceEvent.BlocksFilled(blocks));
    }

    private void PrefillEnded(WorkerSequence sequence)
    {
        sequence.LastSign = world.Now;
        Step(sequence, new SourceEvent.PrefillEnded());
    }

    private void EndSource(WorkerSequence sequence, ErrorCode? code, string reason)
    {
        if (!sequence.Alive) return;
        Step(sequence, new SourceEvent.Ended(code, reason));
    }

    private void Step(WorkerSequence sequence, SourceEvent happened)
    {
        if (!sequence.Alive) return;
        var step = HandoffMachine.Apply(sequence.Source!, happened);
        sequence.Source = step.State;
        foreach (var effect in step.Effects) Perform(sequence, effect);
    }

    private void Perform(WorkerSequence sequence, SourceEffect effect)
    {
        var link = sequence.DataLink;
        var peer = sequence.Peer;
        switch (effect)
        {
            case SourceEffect.SendBlocks send:
                SendBlocks(sequence, send.Run);
                break;
            case SourceEffect.SendDone:
                var (blocks, token, index) = (sequence.Source!.Blocks, sequence.Tokens[^1], sequence.OutputTokens - 1);
                if (world.Defect == FaultDefect.SourceFreesWhileSending) Pool.Release(sequence.Table);
                AfterSends(sequence, () => link?.Send(() => peer!.Owner.DoneArrived(peer, blocks, index, token)));
                break;
            case SourceEffect.SendAbort abort:
                ReportFailure(sequence, abort.Code, abort.Reason);
                var (code, reason) = (abort.Code, abort.Reason);
                AfterSends(sequence, () => link?.Send(() => peer!.Owner.EndTarget(peer, code, reason)));
                break;
            case SourceEffect.Free:
                Release(sequence);
                break;
            case SourceEffect.SendCommitted or SourceEffect.RefusePuller:
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(effect), effect, "An effect without a performer.");
        }
    }

    // The blocks are read when the send ends, as a socket would: whoever frees them before that is found out.
    private void SendBlocks(WorkerSequence sequence, BlockRun run)
    {
        var (link, peer) = (sequence.DataLink, sequence.Peer);
        var blocks = Enumerable.Range(run.First, run.Count).Select(index => sequence.Table[index].Value).ToArray();
        sequence.SendsEndAt = Math.Max(sequence.SendsEndAt, world.Now) + (run.Count * FaultWorld.Millisecond);
        AfterSends(sequence, () =>
        {
            var contents = Array.ConvertAll(blocks, block => _contents[block]);
            link?.Send(() => peer!.Owner.BlocksArrived(peer, run, contents));
            Step(sequence, new SourceEvent.SendEnded());
        });
    }

    private void AfterSends(WorkerSequence sequence, Action action) =>
        Local(Math.Max(0, sequence.SendsEndAt - world.Now), action);

    private void PullerArrived(SequenceKey key, WorkerSequence target, SimulatedLink link, long until)
    {
        if (!_sequences.TryGetValue(key, out var sequence) || sequence.Source is null)
        {
            // Its own start may still be on the way over the other link: parked until then.
            if (world.Now < until) Local(10 * FaultWorld.Millisecond, () => PullerArrived(key, target, link, until));
            else link.Send(() => target.Owner.EndTarget(target, ErrorCode.HandoffTimeout, "no such key here"));
            return;
        }

        if (sequence.DataLink is null)
        {
            sequence.DataLink = link;
            sequence.Peer = target;
            target.Peer = sequence;
        }

        sequence.LastSign = world.Now;
        Step(sequence, new SourceEvent.PullerArrived(BlockRuns.None));
    }

    private void FromTarget(WorkerSequence target, SourceEvent happened)
    {
        if (target.Peer is { } sequence)
        {
            sequence.LastSign = world.Now;
            Step(sequence, happened);
        }
        else if (target.Alive && target.DataLink!.IsOpen)
        {
            // The hello is parked: what comes behind it on the same link waits too.
            Local(10 * FaultWorld.Millisecond, () => FromTarget(target, happened));
        }
    }

    // ---- target ----

    private void BeginTarget(WorkerSequence sequence)
    {
        sequence.Target = HandoffTarget.Begin(BlocksFor(sequence.Tokens.Count), BlockRuns.None, Window);
        sequence.LastSign = world.Now;
        Watch(sequence, () => EndTarget(
            sequence, ErrorCode.HandoffTimeout, "the source was silent for the lease"));
        var source = world.Worker(sequence.Start.SourceId!);
        if (!source.IsUp)
        {
            EndTarget(sequence, ErrorCode.HandoffSourceLost, "the source refuses connections");
            return;
        }

        var link = sequence.DataLink = new SimulatedLink(world, Id, source.Id);
        var until = world.Now + LeaseNs;
        Report(sequence, RequestReportKind.HandoffStarted);
        link.Send(() => source.Local(0, () => source.PullerArrived(sequence.Start.Key, sequence, link, until)));
        Step(sequence, new TargetEvent.LinkUp());
    }

    private void BlocksArrived(WorkerSequence sequence, BlockRun run, ulong[] contents) => Local(0, () =>
    {
        if (!sequence.Alive) return;
        sequence.LastSign = world.Now;
        if (sequence.Target!.Expects(run))
        {
            for (var i = 0; i < run.Count; i++) _contents[sequence.Table[run.First + i].Value] = contents[i];
        }

        Step(sequence, new TargetEvent.BlocksArrived(run));
    });

    private void DoneArrived(WorkerSequence sequence, int blocks, int index, int token) => Local(0, () =>
    {
        if (!sequence.Alive || sequence.Target!.Stage != HandoffStage.Copying) return;
        Step(sequence, new TargetEvent.DoneArrived(blocks));
        if (sequence.Target.Stage != HandoffStage.Committed) return;
        sequence.Computed = sequence.Tokens.Count;
        sequence.Tokens.Add(token);
        Report(sequence, RequestReportKind.HandoffCommitted);
        Report(sequence, RequestReportKind.DecodeStarted);
        SendTokens(sequence, index, [token]);
        Continue(sequence);
    });

    private void EndTarget(WorkerSequence sequence, ErrorCode? code, string reason) => Local(0, () =>
    {
        if (!sequence.Alive || sequence.Target!.Stage is HandoffStage.Aborted or HandoffStage.Committed) return;
        Step(sequence, new TargetEvent.Ended(code, reason));
    });

    private void Step(WorkerSequence sequence, TargetEvent happened)
    {
        if (!sequence.Alive) return;
        var step = HandoffMachine.Apply(sequence.Target!, happened);
        sequence.Target = step.State;
        foreach (var effect in step.Effects) Perform(sequence, effect);
    }

    private void Perform(WorkerSequence sequence, TargetEffect effect)
    {
        var source = world.Worker(sequence.Start.SourceId!);
        switch (effect)
        {
            case TargetEffect.GrantCredit credit:
                ToSource(sequence, source, new SourceEvent.CreditGranted(credit.Blocks));
                break;
            case TargetEffect.Commit:
                ToSource(sequence, source, new SourceEvent.CommitArrived());
                break;
            case TargetEffect.SendAbort abort:
                ReportFailure(sequence, abort.Code, abort.Reason);
                ToSource(sequence, source, new SourceEvent.Ended(abort.Code, abort.Reason));
                Local(0, () => Step(sequence, new TargetEvent.LinkClosed()));
                break;
            case TargetEffect.Free:
                Release(sequence);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(effect), effect, "An effect without a performer.");
        }
    }

    private static void ToSource(WorkerSequence target, SimulatedWorker source, SourceEvent happened) =>
        target.DataLink?.Send(() => source.Local(0, () => source.FromTarget(target, happened)));

    // ---- both ----

    private void ReportFailure(WorkerSequence sequence, ErrorCode? code, string reason)
    {
        if (code is not null) Report(sequence, RequestReportKind.AttemptFailed, code, reason);
    }

    /// <summary>Ends a handoff whose other end has not been heard of for the lease.</summary>
    private void Watch(WorkerSequence sequence, Action expire) => Local(LeaseNs / 4, () =>
    {
        if (!sequence.Alive || sequence.Target?.Stage == HandoffStage.Committed) return;
        if (!sequence.Waiting && world.Now - sequence.LastSign > LeaseNs) expire();
        else Watch(sequence, expire);
    });

    /// <summary>This process is gone: the other end reads the end of the stream.</summary>
    private void CloseDataLink(WorkerSequence sequence)
    {
        if (sequence.DataLink is not { IsOpen: true } link) return;
        link.Close();
        if (sequence.Peer is not { } peer) return;
        var other = world.Workers.FirstOrDefault(w => w._sequences.ContainsValue(peer));
        other?.Local(FaultWorld.Millisecond, () =>
        {
            if (peer.Source is not null) other.EndSource(peer, ErrorCode.WorkerLost, "the target's link closed");
            else other.Step(peer, new TargetEvent.LinkClosed());
        });
    }
}
