using FsCheck;
using FsCheck.Fluent;
using Krewe.Abstractions;
using Krewe.Control.Handoff;

namespace Krewe.Control.Tests.Handoff;

public sealed class HandoffMachineTests
{
    private static readonly Config Fixed =
        Config.QuickThrowOnFailure.WithMaxTest(2000).WithEndSize(200).WithReplay(20260117, 4711);

    [Fact]
    public void A_handoff_without_trouble_ends_committed_and_freed()
    {
        var source = HandoffSource.Begin(blocks: 3);
        var target = HandoffTarget.Begin(blocks: 3, present: BlockRuns.Prefix(1), window: 8);
        (target, var asked) = HandoffMachine.Apply(target, new TargetEvent.LinkUp());
        Assert.Equal<TargetEffect>([new TargetEffect.GrantCredit(2)], asked);

        (source, _) = HandoffMachine.Apply(source, new SourceEvent.PullerArrived(BlockRuns.Prefix(1)));
        (source, _) = HandoffMachine.Apply(source, new SourceEvent.CreditGranted(2));
        (source, var sent) = HandoffMachine.Apply(source, new SourceEvent.BlocksFilled(2));
        Assert.Equal<SourceEffect>([new SourceEffect.SendBlocks(new BlockRun(1, 1))], sent);

        // The step that fills the last block is under way: it may be followed, but there is no first token yet.
        (source, sent) = HandoffMachine.Apply(source, new SourceEvent.BlocksFilled(3));
        Assert.Equal<SourceEffect>([new SourceEffect.SendBlocks(new BlockRun(2, 1))], sent);
        Assert.Equal(HandoffStage.Copying, source.Stage);
        (source, sent) = HandoffMachine.Apply(source, new SourceEvent.PrefillEnded());
        Assert.Equal<SourceEffect>([new SourceEffect.SendDone()], sent);
        Assert.Equal(HandoffStage.Frozen, source.Stage);

        (target, _) = HandoffMachine.Apply(target, new TargetEvent.BlocksArrived(new BlockRun(1, 1)));
        (target, _) = HandoffMachine.Apply(target, new TargetEvent.BlocksArrived(new BlockRun(2, 1)));
        (target, var ended) = HandoffMachine.Apply(target, new TargetEvent.DoneArrived(3));
        Assert.Equal<TargetEffect>([new TargetEffect.Commit()], ended);

        // Both sends ended late: the source may not free before.
        (source, sent) = HandoffMachine.Apply(source, new SourceEvent.CommitArrived());
        Assert.Equal<SourceEffect>([new SourceEffect.SendCommitted()], sent);
        (source, _) = HandoffMachine.Apply(source, new SourceEvent.SendEnded());
        (source, sent) = HandoffMachine.Apply(source, new SourceEvent.SendEnded());
        Assert.Equal<SourceEffect>([new SourceEffect.Free()], sent);
        Assert.Equal(HandoffStage.Committed, target.Stage);
    }

    [Fact]
    public void An_expired_lease_frees_once_and_a_late_commit_changes_nothing()
    {
        var (source, effects) = HandoffMachine.Apply(
            HandoffSource.Begin(2) with { Filled = 2, Finished = true },
            new SourceEvent.Ended(ErrorCode.LeaseExpired, "no puller"));
        Assert.Contains(new SourceEffect.Free(), effects);
        (source, effects) = HandoffMachine.Apply(source, new SourceEvent.CommitArrived());
        Assert.Empty(effects);
        Assert.Equal(HandoffStage.Aborted, source.Stage);
        (_, effects) = HandoffMachine.Apply(source, new SourceEvent.PullerArrived(BlockRuns.None));
        Assert.IsType<SourceEffect.RefusePuller>(Assert.Single(effects));
    }

    [Fact]
    public void A_run_out_of_order_without_credit_or_over_a_present_block_ends_the_target()
    {
        var present = BlockRuns.Of([2]);
        var (target, _) = HandoffMachine.Apply(HandoffTarget.Begin(6, present, window: 2), new TargetEvent.LinkUp());
        var (sound, granted) = HandoffMachine.Apply(target, new TargetEvent.BlocksArrived(new BlockRun(0, 2)));
        Assert.Equal((HandoffStage.Copying, 3), (sound.Stage, sound.Next));
        Assert.Equal<TargetEffect>([new TargetEffect.GrantCredit(2)], granted);
        BlockRun[] wrong = [new(1, 1), new(0, 3), new(0, 0), new(3, 1), new(0, int.MaxValue)];
        foreach (var run in wrong)
        {
            var (aborted, _) = HandoffMachine.Apply(target, new TargetEvent.BlocksArrived(run));
            Assert.Equal(HandoffStage.Aborted, aborted.Stage);
        }
    }

    [Fact]
    public void A_gap_in_the_middle_travels_alone()
    {
        var (source, _) = HandoffMachine.Apply(
            HandoffSource.Begin(8), new SourceEvent.PullerArrived(BlockRuns.Of([0, 1, 4, 5, 7])));
        (source, _) = HandoffMachine.Apply(source, new SourceEvent.CreditGranted(8));
        (source, var sent) = HandoffMachine.Apply(source, new SourceEvent.BlocksFilled(8));
        Assert.Equal<SourceEffect>(
            [new SourceEffect.SendBlocks(new BlockRun(2, 2)), new SourceEffect.SendBlocks(new BlockRun(6, 1))], sent);
        (_, sent) = HandoffMachine.Apply(source, new SourceEvent.PrefillEnded());
        Assert.Equal<SourceEffect>([new SourceEffect.SendDone()], sent);
    }

    [Fact]
    public void A_target_that_claims_blocks_beyond_the_sequence_is_refused()
    {
        var (_, effects) = HandoffMachine.Apply(
            HandoffSource.Begin(4), new SourceEvent.PullerArrived(BlockRuns.Of([4])));
        Assert.IsType<SourceEffect.RefusePuller>(Assert.Single(effects));
    }

    [Fact]
    public void Endless_credit_does_not_overflow()
    {
        var (source, _) = HandoffMachine.Apply(HandoffSource.Begin(4), new SourceEvent.PullerArrived(BlockRuns.None));
        for (var i = 0; i < 3; i++)
            (source, _) = HandoffMachine.Apply(source, new SourceEvent.CreditGranted(int.MaxValue));
        Assert.Equal(4, source.Credit);
    }

    [Fact]
    public void No_order_of_events_breaks_an_invariant() =>
        Property(HandoffMachine.Apply, HandoffMachine.Apply).Check(Fixed);

    // Positive controls: three plausible mistakes, each caught by the same property.
    [Fact]
    public void A_source_that_frees_at_once_on_commit_is_caught() => AssertCaught(
        (state, happened) => HandoffMachine.Apply(
            happened is SourceEvent.CommitArrived ? state with { Sending = 0 } : state, happened),
        HandoffMachine.Apply);

    [Fact]
    public void A_source_that_forgets_its_abort_is_caught() => AssertCaught(
        (state, happened) => HandoffMachine.Apply(
            state.Stage == HandoffStage.Aborted ? state with { Stage = HandoffStage.Frozen, Freed = false } : state,
            happened),
        HandoffMachine.Apply);

    [Fact]
    public void A_target_that_goes_on_after_an_abort_is_caught() => AssertCaught(
        HandoffMachine.Apply,
        (state, happened) => HandoffMachine.Apply(
            state.Stage == HandoffStage.Aborted ? state with { Stage = HandoffStage.Copying } : state, happened));

    private static void AssertCaught(
        Func<HandoffSource, SourceEvent, SourceStep> source, Func<HandoffTarget, TargetEvent, TargetStep> target) =>
        Assert.ThrowsAny<Exception>(() => Property(source, target).Check(Fixed));

    private static Property Property(
        Func<HandoffSource, SourceEvent, SourceStep> source, Func<HandoffTarget, TargetEvent, TargetStep> target)
    {
        var moves = Gen.Choose(0, 9).SelectMany(_ => Gen.Choose(0, 1000), (kind, pick) => new WorldMove(kind, pick));
        return Prop.ForAll(moves.ListOf().ToArbitrary(), list =>
        {
            var blocks = 1 + (list.Count % 5);
            var present = BlockRuns.Of(Enumerable.Range(0, blocks).Where(block => ((list.Count >> block) & 1) == 1));
            var world = new HandoffWorld(blocks, present, source, target);
            foreach (var move in list) world.Move(move);
            world.Settle();
        });
    }
}
