using Krewe.Abstractions;
using Krewe.Control.Kv;
using Krewe.Control.Prefixes;
using Krewe.Control.Routing;

namespace Krewe.Control.Tests.Prefixes;

public class PrefixIndexTests
{
    [Fact]
    public void Each_holder_is_told_as_deep_as_it_goes()
    {
        var index = new PrefixIndex();
        var chain = Chain(1, 100);
        Fill(index, index.Open(7), chain, 100);
        Fill(index, index.Open(3), chain, 1);
        Fill(index, index.Open(5), chain, 37);
        index.Open(9);
        Assert.Equal([(3, 16), (5, 37 * 16), (7, 1600)], Match(index, chain));
        Assert.Equal([(3, 16), (5, 160), (7, 160)], Match(index, chain.AsSpan(0, 10)));
        Assert.Empty(Match(index, Chain(2, 5)));
    }

    [Fact]
    public void A_hot_prefix_is_held_by_all_and_its_continuations_by_one_each()
    {
        var index = new PrefixIndex();
        var chain = Chain(1, 300);
        for (var slot = 0; slot < 1000; slot++) Fill(index, index.Open(slot), chain, 20 + (slot == 500 ? 200 : 0));
        var hits = Match(index, chain);
        Assert.Equal(1000, hits.Count);
        Assert.All(hits, hit => Assert.Equal((hit.Slot == 500 ? 220 : 20) * 16, hit.Tokens));
    }

    [Fact]
    public void Tiers_are_told_apart()
    {
        var index = new PrefixIndex();
        var chain = Chain(1, 30);
        var holder = index.Open(0);
        for (var i = 0; i < 30; i++)
        {
            if (i < 10) index.Add(holder, chain[i], KvTier.Device);
            if (i < 18) index.Add(holder, chain[i], KvTier.Host);
            if (i is >= 15 and < 25) index.Add(holder, chain[i], KvTier.Disk);
        }

        var hits = new PrefixHits();
        index.Match(chain, 16, hits);
        Assert.Equal((160, 128, 112), (hits[0].Device, hits[0].Host, hits[0].Disk));

        index.Remove(holder, chain[9], KvTier.Device);
        hits.Clear();
        index.Match(chain, 16, hits);
        Assert.Equal((144, 144, 112), (hits[0].Device, hits[0].Host, hits[0].Disk));
    }

    [Fact]
    public void A_closed_holder_is_in_no_answer_and_its_blocks_are_swept_away()
    {
        var index = new PrefixIndex();
        var (mine, other) = (Chain(1, 5000), Chain(2, 5000));
        var gone = index.Open(1);
        Fill(index, gone, mine, 5000);
        Fill(index, gone, other, 100);
        index.Close(gone);
        var next = index.Open(1);
        Assert.NotEqual(gone, next);
        Assert.Empty(Match(index, mine));
        Assert.Throws<ArgumentException>(() => index.Add(gone, mine[0], KvTier.Device));

        for (var round = 0; round < 100; round++) Fill(index, next, other, 5000);
        Assert.Equal([(1, 80_000)], Match(index, other));
        Assert.Equal((5000, 5000), (index.Blocks, index.Residencies));
        Assert.Equal(gone, index.Open(2));
        Assert.Equal([(1, 80_000)], Match(index, other));
    }

    [Fact]
    public void A_hidden_holder_fills_up_unseen_and_then_takes_its_predecessors_place()
    {
        var index = new PrefixIndex();
        var chain = Chain(1, 10);
        var old = index.Open(4);
        Fill(index, old, chain, 3);
        var snapshot = index.Open(PrefixIndex.Hidden);
        Fill(index, snapshot, chain, 8);
        Assert.Equal([(4, 48)], Match(index, chain));
        index.Close(old);
        index.Show(snapshot, 4);
        Assert.Equal([(4, 128)], Match(index, chain));
    }

    [Fact]
    public void A_full_index_takes_no_new_block_but_new_holders_of_known_ones()
    {
        var index = new PrefixIndex(blocksMax: 10);
        var chain = Chain(1, 12);
        Fill(index, index.Open(0), chain, 12);
        Fill(index, index.Open(1), chain, 12);
        Assert.Equal((10, 20, 4), (index.Blocks, index.Residencies, index.Refused));
        Assert.Equal([(0, 160), (1, 160)], Match(index, chain));
    }

    [Fact]
    public void A_block_costs_under_twenty_bytes()
    {
        var index = new PrefixIndex();
        var holder = index.Open(0);
        for (var i = 1UL; i <= 1_000_000; i++) index.Add(holder, Hash(i), KvTier.Device);
        Assert.InRange((double)index.Bytes / index.Blocks, 12, 20);
    }

    [Fact]
    public void Looking_up_allocates_nothing()
    {
        var index = new PrefixIndex();
        var chain = Chain(1, 500);
        for (var slot = 0; slot < 100; slot++) Fill(index, index.Open(slot), chain, 5 * slot);
        var hits = new PrefixHits();
        index.Match(chain, 16, hits);
        Assert.Equal(0, Allocations.Of(() =>
        {
            hits.Clear();
            index.Match(chain, 16, hits);
        }));
        Assert.Equal(99, hits.Slots.Length);
    }

    /// <summary>Against plain sets that are obviously right; prefixes grow and shrink at their ends.</summary>
    [Theory, InlineData(1), InlineData(2), InlineData(3), InlineData(4)]
    public void Any_history_gives_what_a_plain_dictionary_gives(int seed)
    {
        var random = new Random(seed);
        var index = new PrefixIndex();
        var truth = new PlainIndex();
        PrefixHash[][] chains = [.. Enumerable.Range(0, 6).Select(i => Chain((ulong)i, 120))];
        var holders = Enumerable.Range(0, 150).Select(index.Open).ToArray();
        for (var round = 0; round < 3000; round++)
        {
            var slot = random.Next(holders.Length);
            var chain = chains[random.Next(chains.Length)];
            if (random.Next(60) == 0)
            {
                index.Close(holders[slot]);
                holders[slot] = index.Open(slot);
                truth.Clear(slot);
                continue;
            }

            var length = truth.Depth(slot, chain);
            var target = random.Next(3) == 0 ? random.Next(length + 1) : random.Next(length, chain.Length + 1);
            for (; length < target; length++)
            {
                index.Add(holders[slot], chain[length], KvTier.Device);
                truth.Add(slot, chain[length]);
            }

            for (; length > target; length--)
            {
                index.Remove(holders[slot], chain[length - 1], KvTier.Device);
                truth.Remove(slot, chain[length - 1]);
            }

            if (round % 10 != 0) continue;
            var asked = chains[random.Next(chains.Length)];
            Assert.Equal(truth.Match(asked, holders.Length), Match(index, asked));
            Assert.Equal(truth.BlocksOf(slot), index.BlocksOf(holders[slot]));
        }
    }

    private static void Fill(PrefixIndex index, int holder, PrefixHash[] chain, int blocks)
    {
        for (var i = 0; i < blocks; i++) index.Add(holder, chain[i], KvTier.Device);
    }

    private static List<(int Slot, int Tokens)> Match(PrefixIndex index, ReadOnlySpan<PrefixHash> chain)
    {
        var hits = new PrefixHits();
        index.Match(chain, 16, hits);
        return [.. hits.Slots.ToArray().Order().Select(slot => (slot, hits[slot].Total))];
    }

    private static PrefixHash[] Chain(ulong name, int blocks) =>
        [.. Enumerable.Range(0, blocks).Select(i => Hash((name << 32) | (uint)i))];

    // Spread like a real hash, and different for each argument: an odd factor is a bijection.
    private static PrefixHash Hash(ulong value) => new((UInt128)((value + 1) * 0x9E3779B97F4A7C15));

    private sealed class PlainIndex
    {
        private readonly Dictionary<int, HashSet<PrefixHash>> _blocks = [];

        public void Add(int slot, PrefixHash hash) => Of(slot).Add(hash);

        public void Remove(int slot, PrefixHash hash) => Of(slot).Remove(hash);

        public void Clear(int slot) => Of(slot).Clear();

        public int BlocksOf(int slot) => Of(slot).Count;

        public int Depth(int slot, PrefixHash[] chain) => chain.TakeWhile(Of(slot).Contains).Count();

        public List<(int Slot, int Tokens)> Match(PrefixHash[] chain, int slots) =>
        [
            .. Enumerable.Range(0, slots).Select(slot => (slot, Depth(slot, chain) * 16)).Where(hit => hit.Item2 > 0),
        ];

        private HashSet<PrefixHash> Of(int slot)
        {
            if (!_blocks.TryGetValue(slot, out var blocks)) _blocks[slot] = blocks = [];
            return blocks;
        }
    }
}
