using Krewe.Abstractions;
using Krewe.Control.Kv;
using Krewe.Control.KvEvents;

namespace Krewe.Control.Tests.KvEvents;

public class KvEventTests
{
    private static readonly PrefixHash Root = PrefixHash.Root("model", "");

    [Fact]
    public void A_change_survives_its_byte()
    {
        foreach (var kind in Enum.GetValues<KvChangeKind>())
        {
            foreach (var tier in Enum.GetValues<KvTier>())
            {
                var change = new KvChange(kind, tier, Root, KvTier.Disk, IsGroupHead: tier == KvTier.Host);
                Assert.Equal(change, KvChange.Unpack(change.Pack(), Root));
            }
        }

        Assert.Null(KvChange.Unpack(3, Root));
        Assert.Null(KvChange.Unpack(0x40, Root));
    }

    [Fact]
    public void What_says_nothing_new_is_no_event()
    {
        var log = new KvEventLog();
        log.Add(Stored(1));
        log.Add(Stored(1));
        log.Add(new KvChange(KvChangeKind.Removed, KvTier.Disk, Hash(1)));

        Assert.Equal(2UL, log.Next);
        Assert.Equal(1, log.Blocks);
        log.Add(new KvChange(KvChangeKind.Moved, KvTier.Device, Hash(1), KvTier.Host));
        log.Add(new KvChange(KvChangeKind.Removed, KvTier.Host, Hash(1)));
        Assert.Equal(4UL, log.Next);
        Assert.Equal(0, log.Blocks);
    }

    [Fact]
    public void A_reader_begins_with_a_snapshot_and_goes_on_with_events()
    {
        var log = new KvEventLog();
        for (var i = 0; i < 5; i++) log.Add(Stored(i));
        var reader = new KvEventReader(log);

        var first = reader.Read(3)!.Value;
        log.Add(Stored(9)); // in the middle of the snapshot: comes behind it
        var second = reader.Read(3)!.Value;
        var third = reader.Read(3)!.Value;

        Assert.Equal((true, 0, false, 3), (first.IsSnapshot, first.Offset, first.Ends, first.Changes.Length));
        Assert.Equal((true, 3, true, 2), (second.IsSnapshot, second.Offset, second.Ends, second.Changes.Length));
        Assert.Equal((false, 6UL, 1), (third.IsSnapshot, third.First, third.Changes.Length));
        Assert.Null(reader.Read(3));
    }

    [Fact]
    public void An_empty_worker_says_so()
    {
        var batch = new KvEventReader(new KvEventLog()).Read(10)!.Value;
        Assert.Equal((true, 0, true, 0), (batch.IsSnapshot, batch.Offset, batch.Ends, batch.Changes.Length));
    }

    [Fact]
    public void A_reader_that_fell_behind_the_ring_gets_a_snapshot()
    {
        var log = new KvEventLog(ringEvents: 8);
        var reader = new KvEventReader(log);
        reader.Read(100);
        for (var i = 0; i < 9; i++) log.Add(Stored(i));

        var batch = reader.Read(100)!.Value;

        Assert.True(batch is { IsSnapshot: true, Ends: true, Changes.Length: 9 });
    }

    /// <summary>
    /// Events of a worker that stores and drops at random reach a silo over a link that loses batches, and reconnects:
    /// whenever the silo thinks that it knows everything, it does.
    /// </summary>
    [Theory]
    [InlineData(0)]
    [InlineData(20)]
    public void Whatever_is_lost_on_the_way_the_silo_never_believes_a_lie(int lostPercent)
    {
        var (complete, asked) = (0, 0);
        for (var seed = 0; seed < 50; seed++)
        {
            var random = new Random(seed);
            var log = new KvEventLog(ringEvents: 64);
            var (reader, cursor) = (new KvEventReader(log), new KvEventCursor());
            var known = new HashSet<(PrefixHash, KvTier)>();
            for (var step = 0; step < 400; step++)
            {
                for (var i = random.Next(6); i > 0; i--) log.Add(Draw(random));
                if (reader.Read(random.Next(1, 20)) is not { } batch || random.Next(100) < lostPercent) continue;
                switch (cursor.Take(batch))
                {
                    case KvVerdict.ReplaceAndApply:
                        known.Clear();
                        Apply(known, batch);
                        break;
                    case KvVerdict.Apply:
                        Apply(known, batch);
                        break;
                    case KvVerdict.AskForSnapshot:
                        asked++;
                        reader.Restart();
                        break;
                }

                if (!cursor.IsComplete || cursor.Next != log.Next) continue;
                var truth = log.Snapshot().Blocks.Select(block => (block.Hash, block.Tier)).ToHashSet();
                Assert.True(truth.SetEquals(known), $"seed {seed}, step {step}");
                complete++;
            }
        }

        Assert.True(complete > 100, $"only {complete} times complete");
        if (lostPercent > 0) Assert.True(asked > 50, $"only {asked} snapshots were asked for");
    }

    private static void Apply(HashSet<(PrefixHash, KvTier)> known, KvBatch batch)
    {
        foreach (var change in batch.Changes.Span)
        {
            if (change.Kind == KvChangeKind.Stored) known.Add((change.Hash, change.Tier));
            else known.Remove((change.Hash, change.Tier));
            if (change.Kind == KvChangeKind.Moved) known.Add((change.Hash, change.To));
        }
    }

    private static KvChange Draw(Random random)
    {
        var (kind, tier) = ((KvChangeKind)random.Next(3), (KvTier)random.Next(3));
        return new KvChange(kind, tier, Hash(random.Next(30)), (KvTier)(((int)tier + 1) % 3));
    }

    private static KvChange Stored(int number) => new(KvChangeKind.Stored, KvTier.Device, Hash(number));

    private static PrefixHash Hash(int number) => Root.Next([number]);
}
