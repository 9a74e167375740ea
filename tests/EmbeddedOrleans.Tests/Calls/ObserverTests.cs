using Orleans;
using Orleans.Runtime;

namespace Krewe.EmbeddedOrleans.Tests.Calls;

public sealed class ObserverTests
{
    public interface IWatcher : IGrainObserver
    {
        void Saw(int number);

        Task<int> Count();
    }

    [Fact]
    public async Task A_grain_calls_an_observer_in_order_and_off_its_own_turns()
    {
        await using var host = await TestHost.StartAsync();
        var watcher = new Watcher();
        var reference = host.Grains.CreateObjectReference<IWatcher>(watcher);

        await host.Grains.GetGrain<IPlainGrain>("subject").Run(_ =>
        {
            for (var i = 0; i < 100; i++)
                reference.Saw(i);
            return Task.CompletedTask;
        });

        Assert.Equal(100, await reference.Count());
        Assert.Equal(Enumerable.Range(0, 100), watcher.Numbers);
    }

    [Fact]
    public async Task A_deleted_observer_takes_no_more_calls()
    {
        await using var host = await TestHost.StartAsync();
        var watcher = new Watcher();
        var reference = host.Grains.CreateObjectReference<IWatcher>(watcher);
        Assert.Equal(1, host.Directory.ObserverCount);
        host.Grains.DeleteObjectReference<IWatcher>(reference);
        Assert.Equal(0, host.Directory.ObserverCount);

        reference.Saw(1);

        await Assert.ThrowsAsync<SiloUnavailableException>(reference.Count);
        Assert.Empty(watcher.Numbers);
        Assert.Throws<ArgumentException>(() => host.Grains.DeleteObjectReference<IWatcher>(watcher));
    }

    private sealed class Watcher : IWatcher
    {
        public List<int> Numbers { get; } = [];

        public void Saw(int number) => Numbers.Add(number);

        public Task<int> Count() => Task.FromResult(Numbers.Count);
    }
}
