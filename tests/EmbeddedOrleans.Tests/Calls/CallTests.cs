using Orleans;
using Orleans.Runtime;

namespace Krewe.EmbeddedOrleans.Tests.Calls;

public sealed class CallTests
{
    [Fact]
    public async Task Every_return_type_carries_its_result()
    {
        await using var host = await TestHost.StartAsync();
        var grain = host.Grains.GetGrain<IPlainGrain>("results");

        Assert.Equal(1, await grain.Compute(_ => Task.FromResult(1)));
        Assert.Equal(2, await grain.ComputeValue(async _ =>
        {
            await Task.Yield();
            return 2;
        }));
        await grain.RunValue(_ => ValueTask.CompletedTask);
        await grain.Run(async _ => await Task.Yield());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_exception_reaches_the_caller_with_its_type_and_its_stack(bool afterAwait)
    {
        await using var host = await TestHost.StartAsync();

        var error = await Assert.ThrowsAsync<InvalidDataException>(
            () => host.Grains.GetGrain<IPlainGrain>("throws").Run(_ => ThrowAsync(afterAwait)));

        Assert.Contains(nameof(ThrowAsync), error.StackTrace, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_cancelled_grain_method_cancels_the_callers_task()
    {
        await using var host = await TestHost.StartAsync();

        var call = host.Grains.GetGrain<IPlainGrain>("oce").Run(async _ =>
        {
            await Task.Yield();
            throw new OperationCanceledException("enough");
        });

        Assert.Equal("enough", (await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call)).Message);
        Assert.True(call.IsCanceled);
    }

    [Fact]
    public async Task Cancelling_tells_the_grain_on_its_own_turns_and_the_caller_does_not_wait()
    {
        await using var host = await TestHost.StartAsync();
        using var source = new CancellationTokenSource();
        Signal entered = new(), told = new();
        var onTurn = false;

        var call = host.Grains.GetGrain<IPlainGrain>("cancel").RunCancellable(
            async (_, token) =>
            {
                var scheduler = TaskScheduler.Current;
                token.Register(() => onTurn = TaskScheduler.Current == scheduler);
                entered.Set();
                try
                {
                    await Task.Delay(Timeout.InfiniteTimeSpan, token);
                }
                finally
                {
                    told.Set();
                }
            },
            source.Token);
        await entered.Wait;
        await source.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        await told.Wait;
        Assert.True(onTurn);
    }

    [Fact]
    public async Task A_call_cancelled_while_it_waits_never_runs()
    {
        await using var host = await TestHost.StartAsync();
        var grain = host.Grains.GetGrain<IPlainGrain>("waits");
        using var source = new CancellationTokenSource();
        Signal release = new();
        var ran = false;

        var first = grain.Run(_ => release.Wait);
        var second = grain.RunCancellable(
            (_, _) =>
            {
                ran = true;
                return Task.CompletedTask;
            },
            source.Token);
        await source.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => grain.RunCancellable((_, _) => Task.CompletedTask, source.Token));
        release.Set();
        await first;
        await grain.Run(_ => Task.CompletedTask);

        Assert.False(ran);
    }

    [Fact]
    public async Task A_call_without_an_answer_times_out_and_the_message_says_where_it_stood()
    {
        var time = new ManualTimeProvider();
        await using var host = await TestHost.StartAsync(time);
        var grain = host.Grains.GetGrain<IPlainGrain>("slow");
        Signal entered = new(), release = new();
        var ran = false;

        var running = grain.Run(async _ =>
        {
            entered.Set();
            await release.Wait;
        });
        await entered.Wait;
        var waiting = grain.Run(_ =>
        {
            ran = true;
            return Task.CompletedTask;
        });
        time.Advance(TimeSpan.FromSeconds(29));
        Assert.False(running.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(2));

        var ranTooLong = await Assert.ThrowsAsync<TimeoutException>(() => running);
        Assert.Contains("still running", ranTooLong.Message, StringComparison.Ordinal);
        var waitedTooLong = await Assert.ThrowsAsync<TimeoutException>(() => waiting);
        Assert.Contains("still waiting", waitedTooLong.Message, StringComparison.Ordinal);
        release.Set();
        await grain.Run(_ => Task.CompletedTask);
        Assert.False(ran);
    }

    [Fact]
    public async Task A_one_way_call_returns_at_once_and_its_failure_is_logged()
    {
        await using var host = await TestHost.StartAsync();
        Signal release = new();

        var call = host.Grains.GetGrain<IPlainGrain>("oneway").RunOneWay(async _ =>
        {
            await release.Wait;
            throw new InvalidDataException("nobody listens");
        });
        Assert.True(call.IsCompletedSuccessfully);
        release.Set();

        Assert.Contains("nobody listens", await host.Errors.First, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Request_values_travel_with_calls_and_never_back()
    {
        await using var host = await TestHost.StartAsync();
        var (a, b) = (host.Grains.GetGrain<IPlainGrain>("a"), host.Grains.GetGrain<IPlainGrain>("b"));
        RequestContext.Set("tenant", "blue");

        await a.Run(async _ =>
        {
            Assert.Equal("blue", RequestContext.Get("tenant"));
            RequestContext.Set("tenant", "green");
            await b.Run(_ =>
            {
                Assert.Equal("green", RequestContext.Get("tenant"));
                return Task.CompletedTask;
            });
        });

        Assert.Equal("blue", RequestContext.Get("tenant"));
        Assert.True(RequestContext.Remove("tenant"));
        Assert.Empty(RequestContext.Keys);
    }

    [Fact]
    public async Task References_are_equal_by_identity_and_can_be_handed_out()
    {
        await using var host = await TestHost.StartAsync();
        var grain = host.Grains.GetGrain<IPlainGrain>("key");
        IScriptGrain? handedOut = null;
        await grain.Run(self =>
        {
            handedOut = self.AsReference<IPlainGrain>();
            return Task.CompletedTask;
        });

        Assert.Equal(grain, handedOut);
        Assert.Equal("key", handedOut!.GetPrimaryKeyString());
        Assert.Equal(GrainId.Create("plain", "key"), grain.GetGrainId());
        Assert.NotEqual(grain, host.Grains.GetGrain<IPlainGrain>("other"));
        await host.Grains.GetGrain<IScriptGrain>(grain.GetGrainId()).Run(_ => Task.CompletedTask);
    }

    [Fact]
    public async Task An_interface_without_or_with_several_classes_is_refused_by_name()
    {
        await using var host = await TestHost.StartAsync();

        Assert.Contains(
            "No grain class implements",
            Assert.Throws<ArgumentException>(() => host.Grains.GetGrain<INobodyGrain>("x")).Message,
            StringComparison.Ordinal);
        Assert.Contains(
            nameof(ReentrantGrain),
            Assert.Throws<ArgumentException>(() => host.Grains.GetGrain<IScriptGrain>("x")).Message,
            StringComparison.Ordinal);
        var chosen = host.Grains.GetGrain<IScriptGrain>("x", typeof(PlainGrain).FullName);
        Assert.Equal("plain/x", chosen.GetGrainId().ToString());
    }

    private static async Task ThrowAsync(bool afterAwait)
    {
        if (afterAwait)
            await Task.Yield();
        throw new InvalidDataException("broken");
    }

    public interface INobodyGrain : IGrainWithStringKey;
}
