using Krewe.KvStore.Slots;

namespace Krewe.KvStore.Tests.Slots;

public sealed class SlotIndexTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public void Random_puts_holds_and_deletes_never_break_the_bookkeeping(int evictionSample)
    {
        var random = new Random(evictionSample);
        var index = new SlotIndex(8, evictionSample);
        var pinned = new List<int>();
        var writing = new List<int>();
        for (var i = 0; i < 5_000; i++)
        {
            var key = Blocks.Key(random.Next(20));
            switch (random.Next(7))
            {
                case 0 or 1:
                    var replace = random.Next(4) == 0;
                    if (index.TryReserve(key, replace, out var slot, out _) == ReserveOutcome.Reserved)
                        writing.Add(slot);
                    break;
                case 2 when writing.Count > 0:
                    var written = Take(writing, random);
                    if (random.Next(5) == 0) index.Abandon(written, bad: false);
                    else if (index.Publish(written, random.Next(100)) is { } replaced) index.Unpin(replaced);
                    break;
                case 3 when index.TryPin(key, out var used):
                    pinned.Add(used);
                    break;
                case 4 when pinned.Count > 0:
                    index.Unpin(Take(pinned, random));
                    break;
                case 6 when random.Next(8) is var walked && index.TryHold(walked, out _):
                    pinned.Add(walked);
                    break;
                case 5 when index.TryRetire(key, out var retired):
                    index.Unpin(retired);
                    break;
            }
        }

        Assert.Empty(index.CheckIntegrity(idle: false));
    }

    [Fact]
    public void The_longest_unused_goes_first_and_a_held_one_never()
    {
        var index = Filled(3);
        Assert.True(index.TryPin(Blocks.Key(0), out var held));
        Assert.True(index.TryPin(Blocks.Key(1), out var touched));
        index.Unpin(touched);

        Assert.Equal(ReserveOutcome.Reserved, index.TryReserve(Blocks.Key(9), false, out _, out var victim));

        Assert.NotNull(victim);
        Assert.True(index.Contains(Blocks.Key(0)));
        Assert.True(index.Contains(Blocks.Key(1)));
        Assert.False(index.Contains(Blocks.Key(2)));
        index.Unpin(held);
    }

    [Fact]
    public void With_all_slots_held_there_is_no_room()
    {
        var index = Filled(2);
        index.TryPin(Blocks.Key(0), out _);
        index.TryPin(Blocks.Key(1), out _);

        Assert.Equal(ReserveOutcome.NoRoom, index.TryReserve(Blocks.Key(9), false, out _, out _));
    }

    [Fact]
    public void Among_the_sampled_the_cheapest_to_recompute_is_evicted()
    {
        var index = new SlotIndex(3, evictionSample: 2);
        foreach (var (number, cost) in new[] { (0, 9f), (1, 1f), (2, 0f) })
        {
            index.TryReserve(Blocks.Key(number), false, out var slot, out _);
            index.Publish(slot, cost);
        }

        index.TryReserve(Blocks.Key(9), false, out _, out _);

        Assert.False(index.Contains(Blocks.Key(1)));
    }

    [Fact]
    public void A_walk_over_all_objects_leaves_their_order_of_use()
    {
        var index = Filled(2);
        Assert.True(index.TryHold(0, out _));
        index.Unpin(0);

        index.TryReserve(Blocks.Key(9), false, out var slot, out _);

        Assert.Equal(0, slot);
    }

    [Fact]
    public void A_bad_slot_is_never_given_out_again()
    {
        var index = new SlotIndex(1, 1);
        index.TryReserve(Blocks.Key(0), false, out var slot, out _);
        index.Abandon(slot, bad: true);

        Assert.Equal(ReserveOutcome.NoRoom, index.TryReserve(Blocks.Key(0), false, out _, out _));
        Assert.Empty(index.CheckIntegrity(idle: true));
    }

    [Fact]
    public void The_checker_finds_a_hold_and_a_reservation_that_nobody_ended()
    {
        var index = Filled(1);
        index.TryPin(Blocks.Key(0), out _);
        Assert.Contains("held 1 times by nobody", Assert.Single(index.CheckIntegrity(idle: true)));

        var other = new SlotIndex(1, 1);
        other.TryReserve(Blocks.Key(0), false, out _, out _);
        Assert.Contains("left Writing", Assert.Single(other.CheckIntegrity(idle: true)));
    }

    [Fact]
    public void Unpinning_once_too_often_is_an_error()
    {
        var index = Filled(1);
        Assert.Throws<InvalidOperationException>(() => index.Unpin(0));
    }

    private static SlotIndex Filled(int objects)
    {
        var index = new SlotIndex(objects, 1);
        for (var i = 0; i < objects; i++)
        {
            index.TryReserve(Blocks.Key(i), false, out var slot, out _);
            index.Publish(slot, 0);
        }

        return index;
    }

    private static int Take(List<int> from, Random random)
    {
        var place = random.Next(from.Count);
        var taken = from[place];
        from.RemoveAt(place);
        return taken;
    }
}
