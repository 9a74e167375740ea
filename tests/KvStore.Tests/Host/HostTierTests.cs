using Krewe.KvStore.Host;

namespace Krewe.KvStore.Tests.Host;

public sealed class HostTierTests : IDisposable
{
    private readonly HostTier _tier = new(Blocks.Odd, 3 * 8192);

    public void Dispose() => _tier.Dispose();

    [Fact]
    public void What_is_put_is_got_and_a_miss_touches_nothing()
    {
        Assert.Equal(PutOutcome.Stored, Put(0));
        Assert.Equal(PutOutcome.AlreadyPresent, Put(0));
        var bytes = new byte[Blocks.Odd.BlockBytes];

        Assert.False(_tier.TryGet(Blocks.Key(1), bytes));
        Assert.All(bytes, value => Assert.Equal(0, value));
        Assert.True(_tier.TryGet(Blocks.Key(0), bytes));
        Assert.Equal(Blocks.Payload(Blocks.Key(0), Blocks.Odd), bytes);
        Assert.Equal(new HostTierStatistics(1, 3, 1, 1, 1, 0), _tier.Statistics);
    }

    [Fact]
    public void The_longest_unused_goes_and_a_held_block_stays()
    {
        for (var i = 0; i < 3; i++) Put(i);
        using (var hold = _tier.TryHold(Blocks.Key(0))!)
        {
            Put(3);
            Put(4);
            Put(5);
            Assert.Equal(Blocks.Payload(Blocks.Key(0), Blocks.Odd), hold.Memory.ToArray());
            Assert.True(_tier.Delete(Blocks.Key(0)));
            Assert.Equal(Blocks.Payload(Blocks.Key(0), Blocks.Odd), hold.Memory.ToArray());
        }

        Assert.False(_tier.Contains(Blocks.Key(1)));
        Assert.True(_tier.Contains(Blocks.Key(5)));
        Assert.Equal(3, _tier.Statistics.Evictions);
        Assert.Empty(_tier.CheckIntegrity());
    }

    [Fact]
    public void When_all_blocks_are_held_there_is_no_room()
    {
        for (var i = 0; i < 3; i++) Put(i);
        var holds = Enumerable.Range(0, 3).Select(i => _tier.TryHold(Blocks.Key(i))!).ToList();

        Assert.Equal(PutOutcome.NoRoom, Put(3));

        Assert.Equal(3, _tier.CheckIntegrity().Count); // the positive control: holds that are out are reported
        holds.ForEach(hold => hold.Dispose());
        Assert.Empty(_tier.CheckIntegrity());
    }

    [Fact]
    public void A_capacity_below_one_block_is_refused()
    {
        var error = Assert.Throws<KvStoreException>(() => new HostTier(Blocks.Odd, 100));
        Assert.Contains("8,192", error.Message, StringComparison.Ordinal);
    }

    private PutOutcome Put(int number) =>
        _tier.Put(Blocks.Key(number), Blocks.Payload(Blocks.Key(number), Blocks.Odd));
}
