namespace Krewe.EmbeddedOrleans.Tests.Scheduling;

public sealed class TurnTests
{
    [Fact]
    public async Task Calls_to_one_activation_run_in_the_order_in_which_they_were_made()
    {
        await using var host = await TestHost.StartAsync();
        var grain = host.Grains.GetGrain<IPlainGrain>("order");
        List<int> seen = [];

        await Task.WhenAll(Enumerable.Range(0, 500).Select(i => grain.Run(async _ =>
        {
            if (i % 7 == 0)
                await Task.Yield();
            seen.Add(i);
        })));

        Assert.Equal(Enumerable.Range(0, 500), seen);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task No_two_turns_of_one_activation_run_at_once(bool reentrant)
    {
        await using var host = await TestHost.StartAsync();
        IScriptGrain grain = reentrant
            ? host.Grains.GetGrain<IReentrantGrain>("turns")
            : host.Grains.GetGrain<IPlainGrain>("turns");
        TurnChecker? turns = null;

        await Task.WhenAll(Enumerable.Range(0, 200).Select(_ => Task.Run(() => grain.Run(async self =>
        {
            turns = self.Turns;
            await StepsAsync(self.Turns);
        }))));

        Assert.Equal(0, turns!.Violations);
    }

    [Fact]
    public async Task The_turn_checker_catches_code_that_runs_outside_of_turns()
    {
        var turns = new TurnChecker();
        using var patience = new CancellationTokenSource(TestHost.Patience);
        // On one processor they meet when one is put off it in the midst of a step.
        await Task.WhenAll(Enumerable.Range(0, 2).Select(_ => Task.Factory.StartNew(
            () =>
            {
                while (turns.Violations == 0 && !patience.IsCancellationRequested)
                    turns.Step();
            },
            CancellationToken.None,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default)));

        Assert.NotEqual(0, turns.Violations);
    }

    [Fact]
    public async Task An_await_inside_a_grain_comes_back_to_its_scheduler()
    {
        await using var host = await TestHost.StartAsync();

        await host.Grains.GetGrain<IPlainGrain>("scheduler").Run(async _ =>
        {
            var scheduler = TaskScheduler.Current;
            Assert.NotSame(TaskScheduler.Default, scheduler);
            await Task.Run(() => Assert.Same(TaskScheduler.Default, TaskScheduler.Current));
            Assert.Same(scheduler, TaskScheduler.Current);
            await Task.Yield();
            Assert.Same(scheduler, TaskScheduler.Current);
        });
    }

    [Fact]
    public async Task A_request_starts_only_when_the_one_before_has_ended()
    {
        await using var host = await TestHost.StartAsync();
        var grain = host.Grains.GetGrain<IPlainGrain>("queue");
        Signal entered = new(), release = new();
        List<string> trace = [];

        var first = grain.Run(async _ =>
        {
            trace.Add("first in");
            entered.Set();
            await release.Wait;
            trace.Add("first out");
        });
        await entered.Wait;
        var second = grain.Run(_ =>
        {
            trace.Add("second");
            return Task.CompletedTask;
        });
        await grain.RunInterleaved(_ =>
        {
            trace.Add("interleaved");
            return Task.CompletedTask;
        });
        release.Set();
        await Task.WhenAll(first, second);

        Assert.Equal(["first in", "interleaved", "first out", "second"], trace);
    }

    [Fact]
    public async Task Requests_of_a_reentrant_grain_interleave_at_awaits()
    {
        await using var host = await TestHost.StartAsync();
        var grain = host.Grains.GetGrain<IReentrantGrain>("reentrant");
        Signal met = new();

        var waits = grain.Run(_ => met.Wait);
        await grain.Run(_ =>
        {
            met.Set();
            return Task.CompletedTask;
        });
        await waits;
    }

    [Fact]
    public async Task An_interleaving_request_that_is_still_running_blocks_no_other()
    {
        await using var host = await TestHost.StartAsync();
        var grain = host.Grains.GetGrain<IPlainGrain>("interleave");
        Signal met = new();

        var waits = grain.RunInterleaved(_ => met.Wait);
        await grain.Run(_ =>
        {
            met.Set();
            return Task.CompletedTask;
        });
        await waits;
    }

    private static async Task StepsAsync(TurnChecker turns)
    {
        for (var step = 0; step < 5; step++)
        {
            turns.Step();
            await Task.Yield();
        }
    }
}
