using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using static Krewe.Workers.Tests.EngineBench;

namespace Krewe.Workers.Tests;

/// <summary>
/// Blocks that leave the pool and come back. The fake model reads its whole history out of the blocks: a wrong, stale
/// or misplaced one changes the answer or throws.
/// </summary>
public sealed class EngineTierTests : IDisposable
{
    private readonly string _directory = Path.Combine(Path.GetTempPath(), $"krewe-tiers-{Guid.NewGuid():n}");

    public void Dispose()
    {
        if (Directory.Exists(_directory)) Directory.Delete(_directory, recursive: true);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)] // device memory: bytes go through staging, and the sequence waits for the whole restore
    public async Task An_evicted_prefix_comes_back_from_host_memory(bool hostMemory)
    {
        await using var bench = await TierBench.WithHostAsync(blocks: 14, hostBlocks: 64, hostMemory);
        await ComputeEvictAndReuseAsync(bench);
        Assert.Equal(KvTier.Host, bench.Tiers.Find(FirstHash(Prompt(3, 100))));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_evicted_prefix_comes_back_from_disk(bool hostMemory)
    {
        await using var bench = await TierBench.WithDiskAsync(_directory, blocks: 14, hostMemory: hostMemory);
        await ComputeEvictAndReuseAsync(bench);
    }

    [Fact]
    public async Task A_conversation_survives_the_worker()
    {
        var prompt = Prompt(3, 100);
        await using (var first = await TierBench.WithDiskAsync(_directory, blocks: 30))
        {
            first.Post(Start("a", prompt, maxOutput: 30));
            await first.FinishAsync("a");
        }

        await using var second = await TierBench.WithDiskAsync(_directory, blocks: 30);
        int[] longer = [.. prompt, .. FakeRunner.Answer(prompt, 30), 1, 2, 3];
        second.Post(Start("b", longer, maxOutput: 20));
        await second.FinishAsync("b");

        Assert.Equal(FakeRunner.Answer(longer, 20), second.Owner.Tokens("b"));
        Assert.Equal(128u, second.Owner.Event("b", SequenceEventKind.PrefillStarted).PrefixHitTokens);
        Assert.Equal(8ul, second.Engine.Load.Tiers!.RestoredBlocks);
        second.AssertAllReturned();
    }

    /// <summary>Bytes rot on the disk: the answer is the same, by computing.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public async Task A_bad_block_is_computed_again(int everyNth)
    {
        var prompt = Prompt(3, 150);
        await using (var first = await TierBench.WithDiskAsync(_directory, blocks: 30))
        {
            first.Post(Start("a", prompt, maxOutput: 3));
            await first.FinishAsync("a");
        }

        DamageBodies(everyNth);
        await using var second = await TierBench.WithDiskAsync(_directory, blocks: 30);
        second.Post(Start("b", prompt, maxOutput: 20));
        await second.FinishAsync("b");

        Assert.Equal(FakeRunner.Answer(prompt, 20), second.Owner.Tokens("b"));
        Assert.True(second.Engine.Load.Tiers!.BadBlocks > 0, "nothing was damaged: the test tests nothing");
        second.AssertAllReturned();
    }

    [Fact]
    public async Task Preempted_sequences_leave_and_return_instead_of_being_computed_again()
    {
        await using var bench = await TierBench.WithHostAsync(blocks: 14, hostBlocks: 256);
        for (var i = 0; i < 10; i++) bench.Post(Start($"s{i}", Prompt(i, 12), maxOutput: 60, priority: i % 2));
        await bench.FinishAsync([.. Enumerable.Range(0, 10).Select(i => $"s{i}")]);
        for (var i = 0; i < 10; i++) Assert.Equal(FakeRunner.Answer(Prompt(i, 12), 60), bench.Owner.Tokens($"s{i}"));
        Assert.True(bench.Engine.Load.Tiers!.RestoredBlocks > 0, "nothing was restored: the test tests nothing");

        await using var recomputing = new EngineBench(blocks: 14);
        for (var i = 0; i < 10; i++) recomputing.Post(Start($"s{i}", Prompt(i, 12), maxOutput: 60, priority: i % 2));
        recomputing.Finish();
        Assert.True(
            bench.Engine.Load.PrefillTokens < recomputing.Engine.Load.PrefillTokens,
            $"{bench.Engine.Load.PrefillTokens} computed, {recomputing.Engine.Load.PrefillTokens} without tiers");
        bench.AssertAllReturned();
    }

    /// <summary>A row takes a millisecond, a copy far less: the plan spills at the preemption, before any eviction.
    /// </summary>
    [Fact]
    public async Task A_preemption_copies_full_blocks_down_when_that_is_cheaper()
    {
        await using var bench = await TierBench.WithHostAsync(blocks: 14, hostBlocks: 256);
        bench.Post(Start("low", Prompt(1, 100), maxOutput: 60));
        for (var i = 0; i < 10; i++) bench.Engine.Turn();
        Assert.Equal(0ul, bench.Engine.Load.Tiers!.SpilledBlocks); // nobody waits: nothing is to be evicted
        bench.Post(Start("high", Prompt(2, 190), maxOutput: 20, priority: 5));
        bench.Engine.Turn();
        bench.Engine.Turn();
        Assert.True(bench.Engine.Load.Tiers!.SpilledBlocks >= 6, "nothing was spilled by the preemption");
        await bench.FinishAsync("low", "high");
        Assert.Equal(FakeRunner.Answer(Prompt(1, 100), 60), bench.Owner.Tokens("low"));
        Assert.Equal(FakeRunner.Answer(Prompt(2, 190), 20), bench.Owner.Tokens("high"));
        var tiers = bench.Engine.Load.Tiers!;
        Assert.True(tiers.RestoredBlocks > 0, "what went down did not come up");
        Assert.Equal((1ul, 1ul), (tiers.SwitchesOut, tiers.SwitchOutCopies)); // six blocks or more, side by side
        Assert.InRange(tiers.SwitchInCopies, 1ul, tiers.SwitchesIn * 2);
        bench.AssertAllReturned();
    }

    [Fact]
    public async Task What_is_cheaper_to_compute_is_not_loaded()
    {
        var fast = TimeSpan.FromMicroseconds(0.1); // 1.6 us a block; a disk takes 200 to begin
        await using var bench = await TierBench.WithDiskAsync(_directory, blocks: 14, hostBlocks: 1, rowTime: fast);
        var prompt = Prompt(3, 100);
        bench.Post(Start("a", prompt, maxOutput: 5));
        await bench.FinishAsync("a");
        await bench.EvictAllAsync("other");
        bench.Post(Start("b", prompt, maxOutput: 5));
        await bench.FinishAsync("b");

        Assert.Equal(FakeRunner.Answer(prompt, 5), bench.Owner.Tokens("b"));
        Assert.Equal(0ul, bench.Engine.Load.Tiers!.RestoredBlocks);
        Assert.True(bench.Engine.Load.Tiers!.RecomputeChosen > 0);
    }

    [Fact]
    public async Task A_sequence_that_ends_while_it_is_restored_gives_its_blocks_back_afterwards()
    {
        var (bench, device) = await TierBench.WithHeldDiskAsync(_directory, blocks: 14);
        await using var disposing = bench;
        bench.Post(Start("a", Prompt(3, 100), maxOutput: 2));
        await bench.FinishAsync("a");
        await bench.EvictAllAsync("other");
        device.HoldReads();
        bench.Post(Start("runs", Prompt(9, 20), maxOutput: 40)); // so that the restore is not waited for in a step
        bench.Engine.Turn();
        bench.Post(Start("b", Prompt(3, 100), maxOutput: 5));
        bench.Engine.Turn();
        bench.Engine.Post(new EngineCommand.Abort(
            bench.Owner, new Krewe.Abstractions.SequenceKey("b", 0, 1), "the client left"));
        // Not until its spills are written: writes wait for reads, and these are held.
        var released = bench.Owner.WhenReleasedAsync("runs");
        await bench.TurnUntilAsync(() => released.IsCompleted);

        Assert.Equal(FakeRunner.Answer(Prompt(9, 20), 40), bench.Owner.Tokens("runs")); // nobody waited for the disk
        Assert.DoesNotContain(SequenceEventKind.Released, bench.Owner.Kinds("b"));
        Assert.True(bench.Engine.Load.PinnedBlocks > 0);
        device.LetGo();
        await bench.FinishAsync("b");
        bench.AssertAllReturned();
    }

    [Fact]
    public async Task A_disk_that_stands_still_holds_nobody_up()
    {
        var (bench, device) = await TierBench.WithHeldDiskAsync(_directory, blocks: 14);
        await using var disposing = bench;
        device.HoldWrites();
        for (var i = 0; i < 6; i++)
        {
            bench.Post(Start($"s{i}", Prompt(i, 100), maxOutput: 5));
            var released = bench.Owner.WhenReleasedAsync($"s{i}");
            await bench.TurnUntilAsync(() => released.IsCompleted);
            Assert.Equal(FakeRunner.Answer(Prompt(i, 100), 5), bench.Owner.Tokens($"s{i}"));
        }

        device.LetGo();
        await bench.FinishAsync();
        bench.AssertAllReturned();
    }

    /// <summary>The second engine plays another worker beside the first, which is still open and then "dies".</summary>
    [Fact]
    public async Task Another_worker_takes_a_checkpointed_stream_over_without_computing_it_again()
    {
        var prompt = Prompt(4, 100);
        var whole = FakeRunner.Answer(prompt, 60);
        await using var first = await TierBench.WithDiskAsync(
            _directory, blocks: 30, hostBlocks: 64, checkpoints: true);
        await using var second = await TierBench.WithDiskAsync(_directory, blocks: 30, checkpoints: true);
        first.Post(Start("a", prompt, maxOutput: 60));
        for (var i = 0; i < 40; i++) first.Engine.Turn();
        await first.WaitForSpillsAsync();
        var accepted = first.Owner.Tokens("a").Length;

        // The neighbour is found within a second, when the second worker looks round.
        await second.TurnUntilAsync(() => second.Tiers.Find(FirstHash(prompt)) is not null);
        second.Post(Start("a", prompt, maxOutput: 60, epoch: 2, output: whole[..accepted]));
        var released = second.Owner.WhenReleasedAsync("a", epoch: 2);
        await second.TurnUntilAsync(() => released.IsCompleted);

        Assert.Equal(whole[accepted..], second.Owner.Tokens("a", epoch: 2));
        var hit = second.Owner.Event("a", SequenceEventKind.PrefillStarted, epoch: 2).PrefixHitTokens;
        Assert.True(hit >= 96 + 16, $"{hit} tokens were restored of {100 + accepted}");
        await second.WaitForSpillsAsync();
        second.AssertAllReturned();
    }

    private static async Task ComputeEvictAndReuseAsync(TierBench bench)
    {
        var prompt = Prompt(3, 100);
        bench.Post(Start("first", prompt, maxOutput: 10));
        await bench.FinishAsync("first");
        await bench.EvictAllAsync("other");
        bench.Post(Start("again", prompt, maxOutput: 10));
        await bench.FinishAsync("again");

        Assert.Equal(FakeRunner.Answer(prompt, 10), bench.Owner.Tokens("first"));
        Assert.Equal(FakeRunner.Answer(prompt, 10), bench.Owner.Tokens("again"));
        Assert.Equal(96u, bench.Owner.Event("again", SequenceEventKind.PrefillStarted).PrefixHitTokens);
        Assert.Equal(5ul, bench.Engine.Load.Tiers!.RestoredBlocks); // the first block was still in the pool
        bench.AssertAllReturned();
    }

    private static Krewe.Control.Kv.PrefixHash FirstHash(int[] prompt) =>
        Krewe.Control.Kv.PrefixHash.Root("model", "").Next(prompt.AsSpan(0, 16));

    /// <summary>Flips a bit in the body of every n-th slot of every segment.</summary>
    private void DamageBodies(int everyNth)
    {
        foreach (var path in Directory.EnumerateFiles(_directory, "segment-*.kv", SearchOption.AllDirectories))
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite);
            var slots = (file.Length - 4096) / 8192;
            for (long slot = everyNth - 1; slot < slots; slot += everyNth)
            {
                var offset = (4096 * (1 + slots)) + (4096 * slot) + 100;
                file.Position = offset;
                var value = file.ReadByte();
                file.Position = offset;
                file.WriteByte((byte)(value ^ 1));
            }
        }
    }
}
