namespace Krewe.EmbeddedOrleans.Tests.Scheduling;

public sealed class CallCycleTests
{
    [Fact]
    public async Task A_cycle_of_calls_fails_at_once_and_names_the_cycle()
    {
        await using var host = await TestHost.StartAsync();
        var (a, b) = (host.Grains.GetGrain<IPlainGrain>("a"), host.Grains.GetGrain<IPlainGrain>("b"));

        var error = await Assert.ThrowsAsync<GrainCallCycleException>(
            () => a.Run(_ => b.Run(async _ => await a.RunValue(_ => ValueTask.CompletedTask)))
                .WaitAsync(TestHost.Patience));

        Assert.Contains("plain/a.Run -> plain/b.Run -> plain/a.RunValue", error.Message, StringComparison.Ordinal);
        await a.Run(_ => Task.CompletedTask);
    }

    [Fact]
    public async Task A_grain_that_awaits_a_call_to_itself_is_a_cycle_even_from_another_thread()
    {
        await using var host = await TestHost.StartAsync();
        var a = host.Grains.GetGrain<IPlainGrain>("self");

        await Assert.ThrowsAsync<GrainCallCycleException>(
            () => a.Run(_ => Task.Run(() => a.Run(_ => Task.CompletedTask))).WaitAsync(TestHost.Patience));
    }

    [Fact]
    public async Task A_cycle_through_an_activation_hook_is_reported_too()
    {
        await using var host = await TestHost.StartAsync();
        var (a, b) = (host.Grains.GetGrain<IPlainGrain>("hook"), host.Grains.GetGrain<IPlainGrain>("b"));
        host.Hooks.OnActivate["hook"] = (_, _) => b.Run(_ => a.Run(_ => Task.CompletedTask));

        var error = await Assert.ThrowsAsync<GrainCallCycleException>(
            () => a.Run(_ => Task.CompletedTask).WaitAsync(TestHost.Patience));

        Assert.Contains(
            "plain/hook.OnActivateAsync -> plain/b.Run -> plain/hook.Run", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Reentrant_grains_interleaving_methods_and_one_way_calls_close_no_cycle()
    {
        await using var host = await TestHost.StartAsync();
        var b = host.Grains.GetGrain<IPlainGrain>("b");
        var reentrant = host.Grains.GetGrain<IReentrantGrain>("r");
        var plain = host.Grains.GetGrain<IPlainGrain>("p");
        Signal later = new();

        await reentrant.Run(_ => b.Run(_ => reentrant.Run(_ => Task.CompletedTask)));
        await plain.Run(_ => b.Run(_ => plain.RunInterleaved(_ => Task.CompletedTask)));
        await plain.Run(_ => b.Run(_ => plain.RunOneWay(_ =>
        {
            later.Set();
            return Task.CompletedTask;
        })));
        await later.Wait;
    }

    [Fact]
    public async Task A_call_back_after_the_first_request_has_ended_is_no_cycle()
    {
        await using var host = await TestHost.StartAsync();
        var (a, b) = (host.Grains.GetGrain<IPlainGrain>("a"), host.Grains.GetGrain<IPlainGrain>("b"));
        Signal release = new();
        var back = Task.CompletedTask;

        await a.Run(_ =>
        {
            back = b.Run(async _ =>
            {
                await release.Wait;
                await a.Run(_ => Task.CompletedTask);
            });
            return Task.CompletedTask;
        });
        release.Set();

        await back.WaitAsync(TestHost.Patience);
    }
}
