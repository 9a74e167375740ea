using FsCheck;
using FsCheck.Fluent;
using Krewe.Abstractions;
using Krewe.Control.Tiers;

namespace Krewe.Control.Tests.Tiers;

public sealed class TierRuleTests
{
    private static readonly PrefillCost OneMillisecond = new(0.001);

    [Theory]
    [InlineData(99, true)]
    [InlineData(100, false)] // a tie: nothing is gained by moving bytes
    [InlineData(101, false)]
    public void A_load_must_be_faster_than_computing_what_it_brings(int loadMs, bool loads)
    {
        var offer = Offer(KvTier.Remote, 100, loadMs);
        Assert.Equal(loads ? offer : null, TierRule.Choose(0, 1000, [offer], OneMillisecond));
    }

    [Fact]
    public void Tokens_that_are_resident_already_are_no_gain()
    {
        Assert.Null(TierRule.Choose(100, 1000, [Offer(KvTier.Disk, 100, 0)], OneMillisecond));
        Assert.Null(TierRule.Choose(90, 1000, [Offer(KvTier.Disk, 100, 11)], OneMillisecond));
        Assert.NotNull(TierRule.Choose(90, 1000, [Offer(KvTier.Disk, 100, 9)], OneMillisecond));
    }

    [Fact]
    public void A_far_tier_that_knows_more_beats_a_near_one()
    {
        var (host, remote) = (Offer(KvTier.Host, 200, 2), Offer(KvTier.Remote, 800, 80));
        Assert.Equal(remote, TierRule.Choose(0, 1000, [host, remote], OneMillisecond));
        Assert.Equal(host, TierRule.Choose(0, 200, [host, remote], OneMillisecond));
    }

    [Fact]
    public void A_busy_worker_loads_what_an_idle_one_computes()
    {
        var offer = Offer(KvTier.Disk, 500, 400);
        Assert.Null(TierRule.Choose(0, 500, [offer], new PrefillCost(0.0005)));
        Assert.Equal(offer, TierRule.Choose(0, 500, [offer], new PrefillCost(0.002)));
    }

    [Fact]
    public void Nothing_is_loaded_before_computing_was_measured() =>
        Assert.Null(TierRule.Choose(0, 1000, [Offer(KvTier.Host, 1000, 0)], PrefillCost.Unknown));

    [Fact]
    public void Attention_makes_later_tokens_dearer()
    {
        var cost = new PrefillCost(0.001, 0.000_002);
        Assert.Equal(0.001 * 10 + 0.000_002 * 50, cost.Of(0, 10).TotalSeconds, precision: 6);
        Assert.Equal(cost.Of(0, 10) + cost.Of(10, 30), cost.Of(0, 30));
    }

    [Fact]
    public void No_choice_is_ever_slower_than_another()
    {
        var offers = Gen.Choose(0, 300).SelectMany(
            _ => Gen.Choose(0, 300), (tokens, ms) => Offer(KvTier.Remote, tokens, ms)).ListOf();
        Prop.ForAll(offers.ToArbitrary(), list =>
        {
            var chosen = TierRule.Choose(50, 200, list.ToArray(), OneMillisecond);
            var taken = Total(chosen);
            return taken <= Total(null) && list.All(offer => taken <= Total(offer));
        }).Check(Config.QuickThrowOnFailure.WithReplay(20261128, 4711));

        static TimeSpan Total(TierOffer? offer)
        {
            var end = Math.Clamp(offer?.Tokens ?? 0, 50, 200);
            return (offer?.Load ?? TimeSpan.Zero) + OneMillisecond.Of(end, 200);
        }
    }

    private static TierOffer Offer(KvTier tier, int tokens, int loadMs) =>
        new(tier, tokens, TimeSpan.FromMilliseconds(loadMs));
}
