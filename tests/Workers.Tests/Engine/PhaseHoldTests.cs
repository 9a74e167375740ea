using Krewe.Abstractions.Wire;
using static Krewe.Workers.Tests.EngineBench;
using WorkerRole = Krewe.Abstractions.WorkerRole;

namespace Krewe.Workers.Tests;

/// <summary>
/// Each phase can be held, by the right worker, once; the file's vanishing tells the test that it is.
/// </summary>
public sealed class PhaseHoldTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("krewe-hold-");

    private string HoldFile => Path.Combine(_folder.FullName, "hold");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData("handoff", WorkerRole.Decode)]
    [InlineData("handoff", WorkerRole.Prefill)]
    [InlineData("before-commit", WorkerRole.Decode)]
    public async Task A_transfer_stays_in_its_phase_until_it_is_ended(string phase, WorkerRole role)
    {
        var time = new ManualTime();
        await using var prefill = new HandoffBench(
            WorkerRole.Prefill, time, hold: new PhaseHold(HoldFile, WorkerRole.Prefill, time));
        await using var decode = new HandoffBench(
            WorkerRole.Decode, time, hold: new PhaseHold(HoldFile, WorkerRole.Decode, time));
        await File.WriteAllTextAsync(HoldFile, $"{phase} {role}\n");
        using var watcher = Watch();
        prefill.Start(Start("a", Prompt(1, 100), 10, SequencePart.Prefill));
        decode.Start(Start("a", Prompt(1, 100), 10, SequencePart.Decode), prefill.Address);
        await watcher.WhenGoneAsync();
        Assert.DoesNotContain(SequenceEventKind.HandoffCommitted, decode.Owner.Kinds("a"));
        decode.Abort("a");
        prefill.Abort("a");
        await time.AdvanceUntilAsync(
            Task.WhenAll(decode.Owner.WhenReleasedAsync("a"), prefill.Owner.WhenReleasedAsync("a")),
            TimeSpan.FromMilliseconds(200));
        await decode.AssertAllReturnedAsync();
    }

    [Theory]
    [InlineData("queued", 0)]
    [InlineData("computing", 0)]
    [InlineData("decoding", 4)]
    public async Task The_engine_stays_in_its_phase(string phase, int tokensBefore)
    {
        var time = new ManualTime();
        await using var bench = new HandoffBench(
            WorkerRole.Mixed, time, hold: new PhaseHold(HoldFile, WorkerRole.Mixed, time));
        await File.WriteAllTextAsync(HoldFile, phase);
        using var watcher = Watch();
        bench.Start(Start("a", Prompt(1, 50), 10));
        await watcher.WhenGoneAsync();
        await bench.Owner.WhenAsync("a", SequenceEventKind.Accepted);
        Assert.Equal(tokensBefore, bench.Owner.Tokens("a").Length);
        await time.AdvanceUntilAsync(bench.Owner.WhenReleasedAsync("a"), TimeSpan.FromSeconds(61));
        Assert.Equal(FakeRunner.Answer(Prompt(1, 50), 10), bench.Owner.Tokens("a"));
    }

    [Fact]
    public async Task A_hold_for_another_role_is_left_alone()
    {
        await using var bench = new HandoffBench(
            WorkerRole.Mixed, hold: new PhaseHold(HoldFile, WorkerRole.Mixed, TimeProvider.System));
        await File.WriteAllTextAsync(HoldFile, "decoding decode");
        bench.Start(Start("a", Prompt(1, 50), 10));
        await bench.Owner.WhenReleasedAsync("a");
        Assert.True(File.Exists(HoldFile));
    }

    private Watcher Watch() => new(HoldFile);

    private sealed class Watcher : IDisposable
    {
        private readonly FileSystemWatcher _watcher;
        private readonly TaskCompletionSource _gone = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Watcher(string file)
        {
            _watcher = new FileSystemWatcher(Path.GetDirectoryName(file)!);
            _watcher.Deleted += (_, _) => _gone.TrySetResult();
            _watcher.EnableRaisingEvents = true;
        }

        public Task WhenGoneAsync() => _gone.Task.WaitAsync(TimeSpan.FromMinutes(2));

        public void Dispose() => _watcher.Dispose();
    }
}
