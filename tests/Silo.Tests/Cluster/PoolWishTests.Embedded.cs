using Krewe.Abstractions;
using Krewe.EmbeddedOrleans;
using Krewe.Silo.Links;
using Krewe.Silo.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace Krewe.Silo.Tests.Cluster;

public sealed class PoolWishTests
{
    [Fact]
    public async Task A_pool_whose_grain_is_made_anew_is_told_again_what_is_wanted_of_its_workers()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        var agent = harness.Silo.Services.GetRequiredService<MigrationAgent>();
        await agent.SetWishAsync("decode-0", WorkerWish.Cordon);
        await Eventually.UntilAsync(() => agent.Wishes.ContainsKey("decode-0"), "the pool has told it");

        // As when the silo that had the grain dies.
        var grains = harness.Silo.Services.GetRequiredService<IEmbeddedGrainDirectory>();
        await grains.DeactivateIdleAsync(TimeSpan.Zero);
        var pool = harness.Grains.GetGrain<IPoolGrain>(TestModel.Name);
        await Eventually.UntilAsync(
            async () => (await pool.ExchangeAsync(new PoolReport("spy", [], []))).Wishes.ContainsKey("decode-0"),
            "the new grain knows it");
        Assert.Equal(WorkerState.Draining, harness.View.Find("decode-0")!.View.State);
    }
}
