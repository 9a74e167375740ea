using Krewe.Control.Kv;
using Krewe.Control.Prefixes;
using Krewe.Control.Routing;

namespace Krewe.Control.Tests.Prefixes;

public sealed class RoutedPrefixesTests
{
    private const int BlockTokens = 16;

    [Fact]
    public void The_oldest_routed_blocks_are_forgotten_first()
    {
        var routed = new RoutedPrefixes(blocksMax: 100);
        var prompts = Enumerable.Range(0, 30).Select(i => Chain(i, blocks: 10)).ToArray();
        for (var i = 0; i < prompts.Length; i++) routed.Routed(i % 3, prompts[i]);

        Assert.Equal(100, routed.Count);
        for (var i = 0; i < prompts.Length; i++)
            Assert.Equal(i < 20 ? 0 : 10 * BlockTokens, HitOf(routed, prompts[i], slot: i % 3));
    }

    [Fact]
    public void A_worker_that_left_is_in_no_answer_and_its_slot_begins_anew()
    {
        var routed = new RoutedPrefixes(blocksMax: 100);
        var (first, second) = (Chain(1, blocks: 5), Chain(2, blocks: 5));
        routed.Routed(0, first);
        routed.Forget(0);
        routed.Routed(0, second);

        Assert.Equal(0, HitOf(routed, first, slot: 0));
        Assert.Equal(5 * BlockTokens, HitOf(routed, second, slot: 0));
        // What is forgotten now was the first worker's: the second keeps its own.
        for (var i = 0; i < 19; i++) routed.Routed(1, Chain(100 + i, blocks: 5));
        Assert.Equal(5 * BlockTokens, HitOf(routed, second, slot: 0));
    }

    private static int HitOf(RoutedPrefixes routed, PrefixHash[] prompt, int slot)
    {
        var hits = new PrefixHits();
        routed.Match(prompt, BlockTokens, hits);
        return hits[slot].Device;
    }

    private static PrefixHash[] Chain(int seed, int blocks)
    {
        var chain = new PrefixChain(PrefixHash.Root("model", $"{seed}"), BlockTokens);
        chain.Cover(new int[blocks * BlockTokens]);
        return chain.Hashes.ToArray();
    }
}
