using System.Threading.Channels;
using Orleans;
using Orleans.Runtime;

namespace Krewe.EmbeddedOrleans.Tests.Activations;

public sealed class GrainTimerTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    [Fact]
    public async Task A_timer_ticks_on_the_grains_turns_by_the_injected_clock()
    {
        var time = new ManualTimeProvider();
        await using var host = await TestHost.StartAsync(time);
        var ticks = Channel.CreateUnbounded<bool>();
        await host.Grains.GetGrain<IPlainGrain>("timer").Run(self =>
        {
            var scheduler = TaskScheduler.Current;
            self.RegisterGrainTimer(
                () =>
                {
                    ticks.Writer.TryWrite(TaskScheduler.Current == scheduler);
                    return Task.CompletedTask;
                },
                2 * Second,
                Second);
            return Task.CompletedTask;
        });

        time.Advance(1.9 * Second);
        Assert.False(ticks.Reader.TryPeek(out _));
        for (var tick = 0; tick < 3; tick++)
        {
            time.Advance(Second);
            Assert.True(await ticks.Reader.ReadAsync().AsTask().WaitAsync(TestHost.Patience));
            await IdleAsync(host);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_tick_waits_for_the_running_request_unless_it_interleaves(bool interleave)
    {
        var time = new ManualTimeProvider();
        await using var host = await TestHost.StartAsync(time);
        var grain = host.Grains.GetGrain<IPlainGrain>("tick");
        Signal ticked = new(), release = new(), registered = new();

        var request = grain.Run(async self =>
        {
            self.RegisterGrainTimer(
                () =>
                {
                    ticked.Set();
                    return Task.CompletedTask;
                },
                new GrainTimerCreationOptions(Second, Timeout.InfiniteTimeSpan) { Interleave = interleave });
            registered.Set();
            await release.Wait;
        });
        await registered.Wait;
        time.Advance(Second);
        if (interleave)
            await ticked.Wait;
        else
            await grain.RunInterleaved(_ => Task.CompletedTask);
        Assert.Equal(interleave, ticked.IsSet);

        release.Set();
        await request;
        await ticked.Wait;
    }

    [Fact]
    public async Task A_failing_callback_is_logged_and_the_timer_goes_on_until_disposed()
    {
        var time = new ManualTimeProvider();
        await using var host = await TestHost.StartAsync(time);
        var grain = host.Grains.GetGrain<IPlainGrain>("failing");
        var ticks = Channel.CreateUnbounded<int>();
        IGrainTimer? timer = null;
        await grain.Run(self =>
        {
            var count = 0;
            timer = self.RegisterGrainTimer(
                (state, _) =>
                {
                    ticks.Writer.TryWrite(++count);
                    return count == 1 ? throw new InvalidDataException(state) : Task.CompletedTask;
                },
                "first tick fails",
                Second,
                Second);
            return Task.CompletedTask;
        });

        time.Advance(Second);
        Assert.Equal(1, await ticks.Reader.ReadAsync().AsTask().WaitAsync(TestHost.Patience));
        Assert.Contains("first tick fails", await host.Errors.First, StringComparison.Ordinal);
        await IdleAsync(host);
        time.Advance(Second);
        Assert.Equal(2, await ticks.Reader.ReadAsync().AsTask().WaitAsync(TestHost.Patience));
        await IdleAsync(host);
        var armed = time.TimerCount;
        timer!.Dispose();
        Assert.Equal(armed - 1, time.TimerCount);
        Assert.Throws<ObjectDisposedException>(() => timer.Change(Second, Second));
    }

    [Fact]
    public async Task Timers_keep_no_grain_alive_unless_told_to_and_end_with_it()
    {
        var time = new ManualTimeProvider();
        await using var host = await TestHost.StartAsync(time, o => o.IdleAge = 10 * Second);
        var (dies, lives) = (host.Grains.GetGrain<IPlainGrain>("dies"), host.Grains.GetGrain<IPlainGrain>("lives"));
        foreach (var grain in new[] { dies, lives })
            await grain.Run(self =>
            {
                self.RegisterGrainTimer(
                    () => Task.CompletedTask,
                    new GrainTimerCreationOptions(Second, Second) { KeepAlive = self.Key == "lives" });
                return Task.CompletedTask;
            });

        var died = host.Directory.WhenDeactivatedAsync(dies);
        var liveEnd = host.Directory.WhenDeactivatedAsync(lives);
        for (var step = 0; step < 15; step++)
        {
            time.Advance(Second);
            await IdleAsync(host);
        }

        await died.WaitAsync(TestHost.Patience);
        Assert.False(liveEnd.IsCompleted);
        // What is left ticks for the living grain and sweeps for the host.
        Assert.Equal(2, time.TimerCount);
    }

    [Fact]
    public async Task A_negative_time_is_refused()
    {
        await using var host = await TestHost.StartAsync();

        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => host.Grains.GetGrain<IPlainGrain>("bad").Run(self =>
        {
            self.RegisterGrainTimer(() => Task.CompletedTask, -Second, Second);
            return Task.CompletedTask;
        }));
    }

    /// <summary>Waits until every tick that is due has ended and its timer is armed again.</summary>
    private static async Task IdleAsync(TestHost host)
    {
        foreach (var activation in host.Host.Catalog.Activations.ToList())
        {
            // Two turns behind the tick: its last turn arms the timer after it left the gate.
            for (var turn = 0; turn < 2; turn++)
                await Task.Factory.StartNew(
                    static () => { }, CancellationToken.None, TaskCreationOptions.None, activation.Gate.Scheduler);
        }
    }
}
