using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Control.Tests;
using Krewe.Kernels;
using Krewe.Workers.Tests.Runner;
using Microsoft.Extensions.Logging.Abstractions;
using static Krewe.Workers.Tests.EngineBench;
using KvGeometry = Krewe.Abstractions.KvGeometry;
using WorkerRole = Krewe.Abstractions.WorkerRole;

namespace Krewe.Workers.Tests;

public sealed class EngineAllocationTests
{
    [Theory]
    [InlineData(1, true)]
    [InlineData(4, true)]
    [InlineData(4, false)]
    public async Task A_thousand_decode_steps_allocate_nothing(int sequences, bool prefixCache)
    {
        using var checkpoint = new RandomCheckpoint("LlamaForCausalLM", "BF16");
        using var model = checkpoint.Open();
        var config = model.Config;
        var geometry = new KvGeometry(config.Layers, config.KvHeads, config.HeadDim, BlockTokens: 16, KvFormat.BF16);
        using var runner = CpuModelRunner.Create(
            model, geometry, 900L * geometry.BlockBytes, threads: 1, CpuKernels.Best);
        using var metrics = new WorkerMetrics("tiny", "mixed-0", () => "mixed");
        await using var engine = new Engine(runner, new EngineSettings
        {
            Role = WorkerRole.Mixed,
            ModelFingerprint = "model",
            PrefixCache = prefixCache,
            InterTokenSlo = TimeSpan.FromMilliseconds(100),
            Watch = new EngineWatch(metrics, "mixed-0", TimeProvider.System),
        }, pulls: null, hold: null, TimeProvider.System, NullLogger.Instance);
        var owner = new PooledOwner();
        for (var i = 0; i < sequences; i++)
        {
            var start = Start($"r{i}", Prompt(i, 60), maxOutput: 3500);
            start.IgnoreEos = true;
            engine.Post(new EngineCommand.Start(owner, start));
        }

        for (var turn = 0; turn < 64; turn++) engine.Turn();
        var (tokens, runs) = (owner.Tokens, 0);
        Assert.Equal(0, Allocations.Of(() =>
        {
            for (var turn = 0; turn < 1000; turn++) engine.Turn();
            runs++;
        }, runs: 3));
        Assert.Equal(1000 * runs * sequences, owner.Tokens - tokens);
        // Measured all the time.
        Assert.Contains("krewe_worker_step_rows_count", metrics.Set.ToPrometheus(), StringComparison.Ordinal);
    }

    /// <summary>Gives messages back as a link does that has sent them.</summary>
    private sealed class PooledOwner : ISequenceOwner
    {
        private readonly TokenMessages _messages = new();

        public int Tokens { get; private set; }

        public void Deliver(TokenBatch tokens)
        {
            for (var i = 0; i < tokens.Runs.Count; i++) Tokens += tokens.Runs[i].Tokens.Count;
            var message = _messages.TakeMessage();
            message.Tokens = tokens;
            _messages.GiveBack(message);
        }

        public void Deliver(SequenceEvent change)
        {
        }

        public TokenBatch TakeBatch() => _messages.TakeBatch();

        public TokenRun TakeRun() => _messages.TakeRun();
    }
}
