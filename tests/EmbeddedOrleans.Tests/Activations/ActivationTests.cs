using Orleans;
using Orleans.Runtime;

namespace Krewe.EmbeddedOrleans.Tests.Activations;

public sealed class ActivationTests
{
    [Fact]
    public async Task The_first_call_activates_and_later_ones_find_the_same_instance()
    {
        await using var host = await TestHost.StartAsync();
        var grain = host.Grains.GetGrain<IPlainGrain>("one");
        Assert.Equal(0, host.Directory.ActivationCount);

        var instances = await Task.WhenAll(
            Enumerable.Range(0, 20).Select(_ => Task.Run(() => grain.Compute(self => Task.FromResult(self.Instance)))));

        Assert.Single(instances.Distinct());
        Assert.Equal(1, host.Directory.ActivationCountByGrainType["plain"]);
    }

    [Fact]
    public async Task A_failed_activation_fails_the_calls_that_waited_and_the_next_call_tries_again()
    {
        await using var host = await TestHost.StartAsync();
        var grain = host.Grains.GetGrain<IPlainGrain>("fails");
        var attempts = 0;
        Signal release = new();
        host.Hooks.OnActivate["fails"] = async (_, _) =>
        {
            if (++attempts > 1)
                return;
            await release.Wait;
            throw new InvalidDataException("no such thing");
        };

        var waiting = Enumerable.Range(0, 3).Select(_ => grain.Run(_ => Task.CompletedTask)).ToArray();
        release.Set();
        foreach (var call in waiting)
            Assert.Equal(
                "no such thing", (await Assert.ThrowsAsync<InvalidDataException>(() => call)).Message);
        await host.Directory.WhenDeactivatedAsync(grain).WaitAsync(TestHost.Patience);

        await grain.Run(_ => Task.CompletedTask);
        Assert.Equal(2, attempts);
    }

    [Fact]
    public async Task Deactivation_on_demand_waits_for_running_requests_and_later_calls_get_a_new_activation()
    {
        await using var host = await TestHost.StartAsync();
        var grain = host.Grains.GetGrain<IPlainGrain>("demand");
        Signal entered = new(), release = new();
        List<string> trace = [];
        host.Hooks.OnDeactivate["demand"] = (_, reason) =>
        {
            trace.Add($"deactivated: {reason.ReasonCode}");
            return Task.CompletedTask;
        };

        var first = grain.Compute(async self =>
        {
            self.EndSoon();
            entered.Set();
            await release.Wait;
            trace.Add("first ends");
            return self.Instance;
        });
        await entered.Wait;
        var second = grain.Compute(self =>
        {
            trace.Add("second runs");
            return Task.FromResult(self.Instance);
        });
        release.Set();

        Assert.NotEqual(await first, await second);
        Assert.Equal(["first ends", "deactivated: ApplicationRequested", "second runs"], trace);
    }

    [Fact]
    public async Task A_nested_call_back_into_a_grain_that_is_ending_is_served_by_it()
    {
        await using var host = await TestHost.StartAsync();
        var grain = host.Grains.GetGrain<IReentrantGrain>("ending");
        var other = host.Grains.GetGrain<IPlainGrain>("other");

        var same = await grain.Compute(async self =>
        {
            self.EndSoon();
            return await other.Compute(_ => grain.Compute(again => Task.FromResult(again.Instance - self.Instance)));
        }).WaitAsync(TestHost.Patience);

        Assert.Equal(0, same);
    }

    [Fact]
    public async Task An_idle_activation_ends_at_its_age_unless_it_asked_for_more()
    {
        var time = new ManualTimeProvider();
        await using var host = await TestHost.StartAsync(time, o => o.IdleAge = TimeSpan.FromMinutes(1));
        var idle = host.Grains.GetGrain<IPlainGrain>("idle");
        var delayed = host.Grains.GetGrain<IPlainGrain>("delayed");
        DeactivationReason? reason = null;
        host.Hooks.OnDeactivate["idle"] = (_, r) =>
        {
            reason = r;
            return Task.CompletedTask;
        };
        await idle.Run(_ => Task.CompletedTask);
        await delayed.Run(self =>
        {
            self.Delay(TimeSpan.FromMinutes(3));
            return Task.CompletedTask;
        });

        time.Advance(TimeSpan.FromSeconds(59));
        Assert.False(host.Directory.WhenDeactivatedAsync(idle).IsCompleted);
        var ended = host.Directory.WhenDeactivatedAsync(idle);
        time.Advance(TimeSpan.FromSeconds(2));
        await ended.WaitAsync(TestHost.Patience);

        Assert.Equal(DeactivationReasonCode.ActivationIdle, reason!.Value.ReasonCode);
        Assert.Equal(1, host.Directory.ActivationCount);
        var endedToo = host.Directory.WhenDeactivatedAsync(delayed);
        time.Advance(TimeSpan.FromMinutes(3));
        await endedToo.WaitAsync(TestHost.Patience);
        Assert.Empty(host.Directory.ActivationCountByGrainType);
    }

    [Fact]
    public async Task A_grain_that_ends_itself_while_it_activates_fails_its_callers_instead_of_looping()
    {
        await using var host = await TestHost.StartAsync();
        var grain = host.Grains.GetGrain<IPlainGrain>("ends");
        host.Hooks.OnActivate["ends"] = (self, _) =>
        {
            self.EndSoon();
            return Task.CompletedTask;
        };

        var error = await Assert.ThrowsAsync<OrleansException>(
            () => grain.Run(_ => Task.CompletedTask).WaitAsync(TestHost.Patience));

        Assert.Contains("ended before it took a call", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Stopping_the_host_ends_every_activation_and_refuses_new_ones()
    {
        await using var host = await TestHost.StartAsync();
        var other = host.Grains.GetGrain<IPlainGrain>("other");
        host.Hooks.OnDeactivate["k0"] = (_, reason) =>
        {
            host.Hooks.Log.Enqueue(reason.ReasonCode.ToString());
            return other.Run(_ => Task.CompletedTask);
        };
        for (var i = 0; i < 10; i++)
            await host.Grains.GetGrain<IPlainGrain>($"k{i}").Run(_ => Task.CompletedTask);

        await host.StopAsync();

        Assert.Equal(["ShuttingDown"], host.Hooks.Log);
        Assert.Equal(0, host.Directory.ActivationCount);
        await Assert.ThrowsAsync<SiloUnavailableException>(() => other.Run(_ => Task.CompletedTask));
    }

    [Fact]
    public async Task Stateless_workers_serve_side_by_side_up_to_their_maximum()
    {
        await using var host = await TestHost.StartAsync();
        var crew = host.Grains.GetGrain<ICrewGrain>("crew");
        Signal release = new();
        var inside = new CountdownEvent(2);

        var busy = Enumerable.Range(0, 2).Select(_ => crew.Compute(async self =>
        {
            inside.Signal();
            await release.Wait;
            return self.Instance;
        })).ToArray();
        await Task.Run(() => inside.Wait(TestHost.Patience));
        var third = crew.Compute(self => Task.FromResult(self.Instance));
        Assert.Equal(2, host.Directory.ActivationCountByGrainType["crew"]);
        Assert.False(third.IsCompleted);
        release.Set();

        var instances = await Task.WhenAll(busy);
        Assert.Equal(2, instances.Distinct().Count());
        Assert.Contains(await third, instances);
        await host.Directory.DeactivateIdleAsync(TimeSpan.Zero).WaitAsync(TestHost.Patience);
        await host.Directory.WhenDeactivatedAsync(crew).WaitAsync(TestHost.Patience);
        await crew.Run(_ => Task.CompletedTask);
    }

    [Theory]
    [InlineData(typeof(IGenericMethod), "generic")]
    [InlineData(typeof(ISynchronous), "must return Task")]
    [InlineData(typeof(ITwoTokens), "CancellationToken")]
    [InlineData(typeof(IOneWayResult), "OneWay")]
    public void An_interface_that_cannot_be_called_is_refused_with_the_reason(Type type, string reason)
    {
        Assert.Contains(reason, Assert.Single(InterfaceShape.ErrorsOf(type)), StringComparison.Ordinal);
        Assert.Empty(InterfaceShape.ErrorsOf(typeof(IScriptGrain)));
    }

    private interface IGenericMethod : IGrainWithStringKey
    {
        Task Take<T>(T value);
    }

    private interface ISynchronous : IGrainWithStringKey
    {
        int Count();
    }

    private interface ITwoTokens : IGrainWithStringKey
    {
        Task Wait(CancellationToken one, CancellationToken two);
    }

    private interface IOneWayResult : IGrainWithStringKey
    {
        [Orleans.Concurrency.OneWay]
        Task<int> Count();
    }
}
