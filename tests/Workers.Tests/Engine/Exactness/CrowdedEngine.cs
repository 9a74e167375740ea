using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Kernels;
using Krewe.Models;
using Microsoft.Extensions.Logging.Abstractions;
using KvGeometry = Krewe.Abstractions.KvGeometry;
using SequenceKey = Krewe.Abstractions.Wire.SequenceKey;
using WorkerRole = Krewe.Abstractions.WorkerRole;

namespace Krewe.Workers.Tests;

/// <summary>
/// The real engine on the real CPU runner, turned by hand: one watched request among neighbours that come, go, share
/// its prefix and crowd the pool as the seed says.
/// </summary>
internal static class CrowdedEngine
{
    private const int PromptTokens = 150;
    private const int OutputTokens = 24;
    private const string Watched = "watched";

    /// <summary>Tokens, and the bits of their and their alternatives' log-probabilities.</summary>
    /// <param name="sequences">The watched one and its neighbours.</param>
    /// <param name="chunk">Most rows of a step.</param>
    /// <param name="spoil">Puts another runner before the real one.</param>
    public static List<(uint Token, uint LogprobBits)> Run(
        ModelFolder model, int sequences, int chunk, int threads, bool sampled, Func<IModelRunner, IModelRunner> spoil)
    {
        var config = model.Config;
        var geometry = new KvGeometry(config.Layers, config.KvHeads, config.HeadDim, BlockTokens: 16, KvFormat.BF16);

        // Room for the watched one and, at most, twelve neighbours: the others wait, or are preempted.
        var blocks = 12 + (10 * Math.Min(sequences, 12));
        using var runner = spoil(CpuModelRunner.Create(
            model, geometry, blocks * geometry.BlockBytes, threads, CpuKernels.Best));
        var engine = new Engine(runner, new EngineSettings
        {
            Role = WorkerRole.Mixed,
            ModelFingerprint = "model",
            StepBudgetTokens = chunk,
        }, pulls: null, hold: null, new ManualTime(), NullLogger.Instance);
        var owner = new BitOwner(Watched);
        var random = new Random(sequences + (100 * chunk));
        var left = sequences - 1;
        for (var turn = 0; !owner.IsReleased; turn++)
        {
            Assert.True(turn < 100_000, "the watched request does not end");
            if (turn == 1) Post(engine, owner, Start(Watched, Prompt(7, PromptTokens), OutputTokens, sampled));
            for (var come = random.Next(4); come > 0 && left > 0; come--, left--)
                Post(engine, owner, Neighbour(left, random));
            engine.Turn();
            engine.CheckIntegrity();
        }

        engine.DisposeAsync().AsTask().GetAwaiter().GetResult();
        Assert.Null(owner.Failure);
        return owner.Bits;
    }

    /// <summary>A third of them begin like the watched one, so that blocks are shared.</summary>
    private static StartSequence Neighbour(int number, Random random)
    {
        var prompt = Prompt(random.Next(1000), random.Next(1, 120));
        if (random.Next(3) == 0)
            prompt = [.. Prompt(7, PromptTokens)[..random.Next(20, 140)], .. prompt[..Math.Min(prompt.Length, 20)]];
        var start = Start($"neighbour-{number}", prompt, random.Next(1, 40), random.Next(2) == 0);
        start.Priority = random.Next(3);
        return start;
    }

    private static StartSequence Start(string name, int[] prompt, int output, bool sampled)
    {
        var start = new StartSequence
        {
            Key = new SequenceKey { RequestId = name, Epoch = 1 },
            Part = SequencePart.Whole,
            MaxOutputTokens = (uint)output,
            IgnoreEos = true,
            Sampling = new SamplingParameters
            {
                Temperature = sampled ? 0.8f : 0,
                TopP = sampled ? 0.9f : 1,
                TopK = sampled ? 50u : 0,
                RepetitionPenalty = sampled ? 1.1f : 1,
                Seed = 4711,
                TopLogprobs = 5,
            },
        };
        start.PromptTokens.AddRange(prompt.Select(token => (uint)token));
        return start;
    }

    private static void Post(Engine engine, ISequenceOwner owner, StartSequence start) =>
        engine.Post(new EngineCommand.Start(owner, start));

    private static int[] Prompt(int seed, int length)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, length).Select(_ => random.Next(1000))];
    }
}
