using Krewe.Abstractions;

namespace Krewe.Cli.Tests.Serving;

public sealed class WorkerSupervisorTests : IDisposable
{
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(7);
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    private readonly ManualTime _time = new();
    private readonly ScriptedLauncher _launcher = new();
    private readonly StringWriter _error = new();
    private readonly CancellationTokenSource _stop = new();

    public void Dispose()
    {
        _error.Dispose();
        _stop.Dispose();
    }

    [Fact]
    public async Task A_worker_that_dies_is_started_again_after_the_delay()
    {
        var running = Start("decode-0");
        (await _launcher.NextAsync()).Exit(137);
        await _time.WhenSomebodyWaitsAsync();
        Assert.Single(_launcher.All);

        _time.Advance(TimeSpan.FromSeconds(0.1));
        var second = await _launcher.NextAsync();

        Assert.Equal("decode-0", second.WorkerId);
        Assert.Contains("worker decode-0 exited with code 137", _error.ToString());
        await StopAsync(running);
    }

    [Theory]
    [InlineData(ExitCode.Refused)]
    [InlineData(ExitCode.Usage)]
    [InlineData(ExitCode.NoDevice)]
    public async Task A_refusal_for_good_stops_all_with_the_workers_last_words(int code)
    {
        var running = Start("prefill-0", "decode-0");
        var first = await _launcher.NextAsync();
        var other = await _launcher.NextAsync();
        first.LastWords = "block tokens are 32 here and 16 there";
        first.Exit(code);

        var failure = await running.WaitAsync(Limit);

        Assert.Equal(new PermanentFailure(first.WorkerId, code, "block tokens are 32 here and 16 there"), failure);
        Assert.True(other.Exited.IsCompleted);
        Assert.Equal(2, _launcher.All.Count);
    }

    [Fact]
    public async Task A_device_that_was_there_may_come_back()
    {
        var running = Start("decode-0");
        (await _launcher.NextAsync()).Exit(137);
        await _time.WhenSomebodyWaitsAsync();
        _time.Advance(TimeSpan.FromSeconds(0.1));
        (await _launcher.NextAsync()).Exit(ExitCode.NoDevice);
        await _time.WhenSomebodyWaitsAsync();

        Assert.False(running.IsCompleted);
        await StopAsync(running);
    }

    /// <summary>However long a start took before it failed, the pauses grow.</summary>
    [Fact]
    public async Task A_GPU_that_others_use_is_waited_for_with_longer_and_longer_pauses()
    {
        var running = Start("decode-0");
        foreach (var pause in (double[])[0.1, 0.2, 0.4])
        {
            var worker = await _launcher.NextAsync();
            worker.LastWords = "cuMemAlloc failed; 12 are free";
            _time.Advance(TimeSpan.FromSeconds(40));
            worker.Exit(ExitCode.DeviceBusy);
            await _time.WhenSomebodyWaitsAsync();
            Assert.Contains(
                "worker decode-0 waits for its GPU, which others use, perhaps workers beside it "
                + $"(cuMemAlloc failed; 12 are free); trying again in {pause:0.0} s.", _error.ToString());
            _time.Advance(TimeSpan.FromSeconds(pause));
        }

        await _launcher.NextAsync();
        Assert.False(running.IsCompleted);
        await StopAsync(running);
    }

    [Fact]
    public async Task Stopping_asks_and_then_kills_who_does_not_obey()
    {
        var running = Start("prefill-0", "decode-0");
        var obedient = await _launcher.NextAsync();
        var deaf = await _launcher.NextAsync();
        deaf.Obeys = false;

        await _stop.CancelAsync();
        await _time.WhenSomebodyWaitsAsync();
        Assert.False(running.IsCompleted);
        _time.Advance(Grace);

        Assert.Null(await running.WaitAsync(Limit));
        Assert.False(obedient.WasKilled);
        Assert.True(deaf.WasKilled);
        Assert.All(_launcher.All, process => Assert.True(process.WasDisposed));
    }

    [Fact]
    public async Task Stopping_during_a_delay_starts_nobody_again()
    {
        var running = Start("decode-0");
        (await _launcher.NextAsync()).Exit(1);
        await _time.WhenSomebodyWaitsAsync();

        Assert.Null(await StopAsync(running));
        Assert.Single(_launcher.All);
    }

    private Task<PermanentFailure?> Start(params string[] ids)
    {
        var supervisor = new WorkerSupervisor(
            _launcher, new Terminal(TextReader.Null, TextWriter.Null, _error), _time, Grace);
        return supervisor.RunAsync([.. ids.Select(Worker)], _stop.Token);
    }

    private async Task<PermanentFailure?> StopAsync(Task<PermanentFailure?> running)
    {
        await _stop.CancelAsync();
        return await running.WaitAsync(Limit);
    }

    private static WorkerOptions Worker(string id) => new()
    {
        WorkerId = id,
        Role = WorkerRole.Mixed,
        ModelDirectory = ".",
        Silos = ["127.0.0.1:1"],
    };
}
