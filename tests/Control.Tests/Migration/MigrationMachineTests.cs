using FsCheck;
using FsCheck.Fluent;
using Krewe.Abstractions;
using Krewe.Control.Migration;

namespace Krewe.Control.Tests.Migration;

public sealed class MigrationMachineTests
{
    private static readonly Config Fixed =
        Config.QuickThrowOnFailure.WithMaxTest(3000).WithEndSize(250).WithReplay(20261128, 4711);

    [Fact]
    public void A_migration_without_trouble_copies_while_the_source_decodes_and_freezes_for_one_block()
    {
        var source = MigrationSource.Begin(full: 2, blocks: 3, new MigrationLimits(WindowBlocks: 1));
        (source, var effects) = MigrationMachine.Apply(source, new MigrationSourceEvent.TargetArrived(0, 3));
        Assert.Equal<MigrationSourceEffect>(
            [new MigrationSourceEffect.SendBlock(0), new MigrationSourceEffect.AskRoom(4)], effects);
        (source, effects) = MigrationMachine.Apply(source, new MigrationSourceEvent.Progressed(1, 4));
        Assert.Equal<MigrationSourceEffect>([new MigrationSourceEffect.SendBlock(1)], effects);

        // It decodes on: the third block fills, a fourth begins.
        Assert.True(source.MayCompute);
        (source, effects) = MigrationMachine.Apply(source, new MigrationSourceEvent.Grown(3, 4));
        Assert.Equal<MigrationSourceEffect>([new MigrationSourceEffect.AskRoom(5)], effects);
        (source, _) = MigrationMachine.Apply(source, new MigrationSourceEvent.Progressed(2, 5));
        (source, effects) = MigrationMachine.Apply(source, new MigrationSourceEvent.Progressed(3, 5));
        Assert.Equal<MigrationSourceEffect>(
        [
            new MigrationSourceEffect.Freeze(), new MigrationSourceEffect.SendBlock(3),
            new MigrationSourceEffect.SendTail(),
        ], effects);
        Assert.False(source.MayCompute);
        (source, effects) = MigrationMachine.Apply(source, new MigrationSourceEvent.CommitArrived());
        Assert.Equal<MigrationSourceEffect>([new MigrationSourceEffect.SendCommitted()], effects);
        for (var i = 0; i < 4; i++)
            (source, effects) = MigrationMachine.Apply(source, new MigrationSourceEvent.SendEnded());
        Assert.Equal<MigrationSourceEffect>([new MigrationSourceEffect.Free()], effects);
    }

    [Fact]
    public void A_sequence_without_any_KV_moves_by_its_tokens_alone()
    {
        var source = MigrationSource.Begin(full: 0, blocks: 0, new MigrationLimits());
        (source, var effects) = MigrationMachine.Apply(source, new MigrationSourceEvent.TargetArrived(0, 1));
        Assert.Equal<MigrationSourceEffect>(
            [new MigrationSourceEffect.Freeze(), new MigrationSourceEffect.SendTail()], effects);
        Assert.Equal(MigrationStage.Frozen, source.Stage);
    }

    [Fact]
    public void A_target_that_knows_more_blocks_than_the_source_has_is_sent_nothing()
    {
        var source = MigrationSource.Begin(full: 1, blocks: 2, new MigrationLimits());
        var (_, effects) = MigrationMachine.Apply(source, new MigrationSourceEvent.TargetArrived(5, 6));
        Assert.DoesNotContain(effects, effect => effect is MigrationSourceEffect.SendBlock);
        var target = MigrationTarget.Begin(present: 5, room: 6, window: 8);
        (target, _) = MigrationMachine.Apply(target, new MigrationTargetEvent.LinkUp());
        (_, var taken) = MigrationMachine.Apply(target, new MigrationTargetEvent.TailArrived(2));
        Assert.Equal<MigrationTargetEffect>([new MigrationTargetEffect.Commit()], taken);
    }

    [Fact]
    public void A_frozen_source_whose_target_is_lost_goes_on_as_if_nothing_had_happened()
    {
        var source = MigrationSource.Begin(0, 1, new MigrationLimits());
        (source, _) = MigrationMachine.Apply(source, new MigrationSourceEvent.TargetArrived(0, 2));
        Assert.Equal(MigrationStage.Frozen, source.Stage);
        (source, var effects) = MigrationMachine.Apply(
            source, new MigrationSourceEvent.Ended(ErrorCode.HandoffTargetLost, "gone"));
        Assert.Contains(new MigrationSourceEffect.Unfreeze(), effects);
        Assert.True(source.MayCompute);

        // The late commit must not take the sequence away again.
        (source, effects) = MigrationMachine.Apply(source, new MigrationSourceEvent.CommitArrived());
        Assert.Empty(effects);
        Assert.Equal(MigrationStage.Aborted, source.Stage);
    }

    [Fact]
    public void A_source_that_outgrows_its_link_gives_up_instead_of_pausing_long()
    {
        var source = MigrationSource.Begin(1, 2, new MigrationLimits(RoundsMax: 3, LastRoundBlocks: 2));
        (source, _) = MigrationMachine.Apply(source, new MigrationSourceEvent.TargetArrived(0, 1000));
        for (var full = 40; source.MayCompute && source.Stage == MigrationStage.Copying; full += 40)
        {
            (source, _) = MigrationMachine.Apply(source, new MigrationSourceEvent.Grown(full, full + 1));
            (source, _) = MigrationMachine.Apply(source, new MigrationSourceEvent.Progressed(source.Next, 1000));
            Assert.True(full < 4000, "it copies for ever");
        }

        Assert.Equal(MigrationStage.Aborted, source.Stage);
    }

    [Fact]
    public void A_full_target_ends_the_migration_and_frees()
    {
        var (target, _) = MigrationMachine.Apply(MigrationTarget.Begin(0, 2, 8), new MigrationTargetEvent.LinkUp());
        (target, var effects) = MigrationMachine.Apply(target, new MigrationTargetEvent.RoomAsked(3));
        Assert.Equal<MigrationTargetEffect>([new MigrationTargetEffect.Reserve(3)], effects);
        (target, effects) = MigrationMachine.Apply(target, new MigrationTargetEvent.RoomRefused("no block left"));
        Assert.IsType<MigrationTargetEffect.SendAbort>(Assert.Single(effects));
        (_, effects) = MigrationMachine.Apply(target, new MigrationTargetEvent.LinkClosed());
        Assert.Equal<MigrationTargetEffect>([new MigrationTargetEffect.Free()], effects);
    }

    [Theory]
    [InlineData(1, 0)]
    [InlineData(2, 0)]
    [InlineData(9, 2)]
    [InlineData(10, 5)]
    public void Without_faults_every_migration_commits(int tokens, int present)
    {
        var world = new MigrationWorld(
            tokens, present, new MigrationLimits(WindowBlocks: 2), MigrationMachine.Apply, MigrationMachine.Apply);
        world.RunClean();
        Assert.True(world.IsCommitted);
        world.Settle();
    }

    [Fact]
    public void No_order_of_events_breaks_an_invariant() =>
        Property(MigrationMachine.Apply, MigrationMachine.Apply).Check(Fixed);

    // The property is worth something only if both ends are reached: not every run may end in an abort.
    [Fact]
    public void A_good_part_of_the_adversarys_runs_commits_and_a_good_part_does_not()
    {
        var random = new Random(7);
        var committed = 0;
        for (var run = 0; run < 300; run++)
        {
            var world = NewWorld(random.Next(1000), MigrationMachine.Apply, MigrationMachine.Apply);
            for (var i = 0; i < 150; i++) world.Move(new WorldMove(random.Next(14), random.Next(1001)));
            committed += world.IsCommitted ? 1 : 0;
            world.Settle();
        }

        Assert.InRange(committed, 30, 270);
    }

    // Positive controls: plausible mistakes, each caught by the same property.
    [Fact]
    public void A_source_that_sends_its_growing_block_is_caught() => AssertCaught(
        (state, happened) => MigrationMachine.Apply(
            happened is MigrationSourceEvent.Grown grown ? state with { Full = grown.Blocks } : state, happened),
        MigrationMachine.Apply);

    [Fact]
    public void A_source_that_does_not_stop_its_engine_is_caught() => AssertCaught(
        (state, happened) => Without<MigrationSourceEffect.Freeze>(MigrationMachine.Apply(state, happened)),
        MigrationMachine.Apply);

    [Fact]
    public void A_source_that_stays_frozen_after_an_abort_is_caught() => AssertCaught(
        (state, happened) => Without<MigrationSourceEffect.Unfreeze>(MigrationMachine.Apply(state, happened)),
        MigrationMachine.Apply);

    [Fact]
    public void A_source_that_frees_at_once_on_commit_is_caught() => AssertCaught(
        (state, happened) => MigrationMachine.Apply(
            happened is MigrationSourceEvent.CommitArrived ? state with { Sending = 0 } : state, happened),
        MigrationMachine.Apply);

    [Fact]
    public void A_source_that_lets_a_late_commit_take_the_sequence_is_caught() => AssertCaught(
        (state, happened) => MigrationMachine.Apply(
            happened is MigrationSourceEvent.CommitArrived && state.Stage == MigrationStage.Aborted
                ? state with { Stage = MigrationStage.Frozen, TailSent = true }
                : state, happened),
        MigrationMachine.Apply);

    [Fact]
    public void A_source_that_sends_without_asking_for_room_is_caught() => AssertCaught(
        (state, happened) => MigrationMachine.Apply(state with { Room = 1000, Asked = 1000 }, happened),
        MigrationMachine.Apply);

    [Fact]
    public void A_source_that_ignores_its_own_preemption_is_caught() => AssertCaught(
        (state, happened) => happened is MigrationSourceEvent.Ended { Reason: "preempted" }
            ? new MigrationSourceStep(state, [])
            : MigrationMachine.Apply(state, happened),
        MigrationMachine.Apply);

    [Fact]
    public void A_target_that_commits_without_counting_is_caught() => AssertCaught(
        MigrationMachine.Apply,
        (state, happened) => MigrationMachine.Apply(
            state, happened is MigrationTargetEvent.TailArrived ? new MigrationTargetEvent.TailArrived(0) : happened));

    [Fact]
    public void A_target_that_goes_on_after_an_abort_is_caught() => AssertCaught(
        MigrationMachine.Apply,
        (state, happened) => MigrationMachine.Apply(
            state.Stage == MigrationStage.Aborted ? state with { Stage = MigrationStage.Copying } : state, happened));

    [Fact]
    public void A_target_that_frees_under_a_receive_is_caught() => AssertCaught(
        MigrationMachine.Apply,
        (state, happened) => MigrationMachine.Apply(
            happened is MigrationTargetEvent.Ended ? state with { Receiving = false } : state, happened) is var step
            && happened is MigrationTargetEvent.Ended && state.Receiving
                ? step with { State = step.State with { Receiving = true } }
                : step);

    private static MigrationSourceStep Without<TEffect>(MigrationSourceStep step)
        where TEffect : MigrationSourceEffect =>
        new(step.State, step.Effects.RemoveAll(effect => effect is TEffect));

    private static void AssertCaught(SourceRule source, TargetRule target) =>
        Assert.ThrowsAny<Exception>(() => Property(source, target).Check(Fixed));

    private static Property Property(SourceRule source, TargetRule target)
    {
        var moves = Gen.Choose(0, 13).SelectMany(_ => Gen.Choose(0, 1000), (kind, pick) => new WorldMove(kind, pick));
        return Prop.ForAll(moves.ListOf().ToArbitrary(), list =>
        {
            var world = NewWorld(list.Count, source, target);
            foreach (var move in list) world.Move(move);
            world.Settle();
        });
    }

    private static MigrationWorld NewWorld(int draw, SourceRule source, TargetRule target) => new(
        tokens: 1 + (draw % 11), present: draw % 3,
        new MigrationLimits(WindowBlocks: 2, FreezeBlocks: draw % 2, RoundsMax: 3, LastRoundBlocks: 2), source, target);
}
