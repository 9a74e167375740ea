using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Microsoft.Extensions.Logging.Abstractions;
using static Krewe.Workers.Tests.EngineBench;
using WorkerRole = Krewe.Abstractions.WorkerRole;

namespace Krewe.Workers.Tests;

public sealed class LocalEngineTests
{
    [Fact]
    public async Task Streams_run_side_by_side()
    {
        await using var engine = Make();
        var streams = Enumerable.Range(0, 8)
            .Select(i => CollectAsync(engine, Start($"s{i}", Prompt(i, 10 + i), maxOutput: 15))).ToArray();
        for (var i = 0; i < streams.Length; i++)
            Assert.Equal(FakeRunner.Answer(Prompt(i, 10 + i), 15), await streams[i]);
    }

    [Fact]
    public async Task A_failure_is_thrown_with_its_code()
    {
        await using var engine = Make();
        var failure = await Assert.ThrowsAsync<KreweException>(
            () => CollectAsync(engine, Start("a", [], maxOutput: 3)));
        Assert.Equal(ErrorCode.InvalidRequest, failure.Code);
    }

    [Fact]
    public async Task Leaving_early_aborts_the_sequence()
    {
        await using var engine = Make();
        await foreach (var _ in engine.GenerateAsync(Start("a", Prompt(1, 20), maxOutput: 300), default)) break;
        Assert.Equal(FakeRunner.Answer(Prompt(2, 300), 3),
            await CollectAsync(engine, Start("b", Prompt(2, 300), maxOutput: 3)));
    }

    private static LocalEngine Make() => new(
        new FakeRunner(64), new EngineSettings { Role = WorkerRole.Mixed, ModelFingerprint = "model" },
        TimeProvider.System, NullLogger.Instance);

    private static async Task<int[]> CollectAsync(LocalEngine engine, StartSequence start)
    {
        var tokens = new List<int>();
        await foreach (var run in engine.GenerateAsync(start, default))
            tokens.AddRange(run.Tokens.Select(token => (int)token));
        return [.. tokens];
    }
}
