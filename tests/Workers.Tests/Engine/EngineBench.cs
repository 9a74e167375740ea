using System.Net;
using System.Net.Sockets;
using Krewe.Abstractions.Wire;
using Microsoft.Extensions.Logging.Abstractions;
using WorkerRole = Krewe.Abstractions.WorkerRole;

namespace Krewe.Workers.Tests;

/// <summary>An engine without a thread: the test turns it by hand.</summary>
internal sealed class EngineBench : IAsyncDisposable
{
    public EngineBench(
        int blocks = 64, int budget = 512, int maxRunning = 256, bool prefixCache = true,
        WorkerRole role = WorkerRole.Mixed, IPullStarter? pulls = null, IReadOnlyList<int>? endTokens = null,
        Func<IModelRunner, IModelRunner>? wrap = null)
    {
        Runner = new FakeRunner(blocks);
        Engine = new Engine(wrap?.Invoke(Runner) ?? Runner, new EngineSettings
        {
            Role = role,
            ModelFingerprint = "model",
            EndTokens = endTokens ?? [],
            StepBudgetTokens = budget,
            MaxRunningSequences = maxRunning,
            PrefixCache = prefixCache,
        }, pulls, hold: null, Time, NullLogger.Instance);
    }

    /// <summary>For how long a peer may be silent, where the test says nothing else: longer than a machine stands
    /// still.</summary>
    public static TimeSpan Lease { get; } = TimeSpan.FromMinutes(2);

    public ManualTime Time { get; } = new();

    public FakeRunner Runner { get; }

    public Engine Engine { get; }

    public RecordingOwner Owner { get; } = new();

    public void Post(StartSequence start) => Engine.Post(new EngineCommand.Start(Owner, start));

    public void Abort(string request, int epoch = 1) => Engine.Post(
        new EngineCommand.Abort(Owner, new Krewe.Abstractions.SequenceKey(request, 0, epoch), "test"));

    /// <summary>Turns until there is nothing left to do, checking the blocks after each turn.</summary>
    public void Finish()
    {
        var turns = 0;
        while (Engine.Turn())
        {
            Engine.CheckIntegrity();
            Assert.True(++turns < 100_000, "the engine does not come to an end");
        }
    }

    /// <summary>Nothing is held any more.</summary>
    public void AssertAllReturned()
    {
        Engine.CheckIntegrity();
        Assert.Equal(0, Engine.Load.PinnedBlocks);
        Assert.Equal(0, Engine.Load.Leases);
        Assert.Equal(Engine.Load.TotalBlocks, Engine.Load.FreeBlocks + Engine.Load.EvictableBlocks);
    }

    /// <summary>A port of this machine at which nobody listens, and nobody else can while the socket lives.</summary>
    public static uint BindWithoutListening(Socket socket)
    {
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return (uint)((IPEndPoint)socket.LocalEndPoint!).Port;
    }

    public static int[] Prompt(int seed, int length)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, length).Select(_ => random.Next(FakeRunner.Vocabulary))];
    }

    public static StartSequence Start(
        string request, int[] prompt, int maxOutput, SequencePart part = SequencePart.Whole, int epoch = 1,
        int[]? output = null, int priority = 0)
    {
        var start = new StartSequence
        {
            Key = new SequenceKey { RequestId = request, Epoch = (uint)epoch },
            Part = part,
            Sampling = new SamplingParameters { TopP = 1, RepetitionPenalty = 1, Seed = 7 },
            MaxOutputTokens = (uint)maxOutput,
            Priority = priority,
            LeaseMs = (uint)Lease.TotalMilliseconds,
        };
        start.PromptTokens.Add(prompt.Select(token => (uint)token));
        start.OutputTokens.Add((output ?? []).Select(token => (uint)token));
        return start;
    }

    public ValueTask DisposeAsync() => Engine.DisposeAsync();
}
