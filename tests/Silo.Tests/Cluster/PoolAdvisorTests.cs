using Krewe.Control.Cluster;
using Krewe.Grains;
using Krewe.Silo.Cluster;
using Krewe.Silo.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace Krewe.Silo.Tests.Cluster;

public sealed class PoolAdvisorTests
{
    [Fact]
    public async Task Refusals_and_late_pools_are_told_in_the_log()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        var log = new DecisionLog();
        var tally = new Tally();
        var advisor = new PoolAdvisor(
            harness.Silo.Services.GetRequiredService<IClusterView>(), tally, new PoolPolicy(), log,
            TimeProvider.System);
        var now = DateTimeOffset.UnixEpoch;
        for (var i = 0; i < 20; i++)
        {
            tally.Next = new RouteTally(100, 40, 100, Refused: 60);
            advisor.Look(now, TimeSpan.FromSeconds(5));
            now += TimeSpan.FromSeconds(5);
        }

        var decisions = log.After(0);
        Assert.Contains("refused 60 of 100 requests in 5 s", decisions[0].What, StringComparison.Ordinal);
        Assert.Contains(decisions, decision => decision.Kind == "scale"
            && decision.What.StartsWith(
                "advise 2 prefill workers instead of 1: prefill: 40 of 100", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Without_a_worker_ever_seen_there_is_no_advice()
    {
        await using var harness = await SiloHarness.StartAsync();
        var log = new DecisionLog();
        var advisor = new PoolAdvisor(
            harness.Silo.Services.GetRequiredService<IClusterView>(), new Tally(), new PoolPolicy(), log,
            TimeProvider.System);
        for (var i = 0; i < 20; i++)
            advisor.Look(DateTimeOffset.UnixEpoch.AddSeconds(5 * i), TimeSpan.FromSeconds(5));
        Assert.Empty(log.After(0));
    }

    private sealed class Tally : IRouteTally
    {
        public RouteTally Next { get; set; }

        public RouteTally Take() => Next;
    }
}
