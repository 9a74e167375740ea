using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Kernels;
using Krewe.Workers.Tests.Runner;
using Microsoft.Extensions.Logging.Abstractions;
using static Krewe.Workers.Tests.EngineBench;
using KvGeometry = Krewe.Abstractions.KvGeometry;
using WorkerRole = Krewe.Abstractions.WorkerRole;

namespace Krewe.Workers.Tests;

public sealed class EngineFuzzTests
{
    /// <summary>One thing wrong with a start, and the names that its error may have.</summary>
    private static readonly (Action<StartSequence, Random> Spoil, ErrorCode[] Codes)[] Spoilers =
    [
        ((start, random) => start.PromptTokens[random.Next(start.PromptTokens.Count)] =
            (uint)random.NextInt64(FakeRunner.Vocabulary, 1L << 32), [ErrorCode.InvalidRequest]),
        ((start, _) => start.PromptTokens.Clear(), [ErrorCode.InvalidRequest]),
        ((start, random) => start.PromptTokens.AddRange(Enumerable.Repeat(1u, random.Next(
            FakeRunner.ContextMax, 4 * FakeRunner.ContextMax))), [ErrorCode.ContextLengthExceeded]),
        ((start, random) => start.PromptTokens.AddRange(Enumerable.Repeat(1u, FakeRunner.ContextMax
            - start.PromptTokens.Count - random.Next(1, 20))), [ErrorCode.KvPoolTooSmall]),
        ((start, _) => start.OutputTokens.Add(FakeRunner.Vocabulary), [ErrorCode.InvalidRequest]),
        ((start, random) => start.Sampling.Temperature = Odd(random), [ErrorCode.InvalidRequest]),
        ((start, random) => start.Sampling.TopP = Odd(random), [ErrorCode.InvalidRequest]),
        ((start, random) => start.Sampling.MinP = Odd(random), [ErrorCode.InvalidRequest]),
        ((start, random) => start.Sampling.RepetitionPenalty = Odd(random), [ErrorCode.InvalidRequest]),
        ((start, _) => start.Sampling.FrequencyPenalty = float.PositiveInfinity, [ErrorCode.InvalidRequest]),
        ((start, random) => start.Sampling.LogitBias.Add((uint)random.Next(FakeRunner.Vocabulary), float.NaN),
            [ErrorCode.InvalidRequest]),
        ((start, random) => start.Sampling.TopLogprobs = (uint)random.Next(21, int.MaxValue),
            [ErrorCode.InvalidRequest]),
        ((start, _) => start.Sampling = null, [ErrorCode.InvalidRequest]),
        ((start, _) => start.MaxOutputTokens = 0, [ErrorCode.InvalidRequest]),
        ((start, random) => start.Part = (SequencePart)random.Next(4, 100), [ErrorCode.InvalidRequest]),
        ((start, _) => start.PromptTokens.Add(PoisonToken), [ErrorCode.EngineFault]),
    ];

    private const int PoisonToken = 13;
    private const int Blocks = 22;

    [Fact]
    public async Task Whatever_is_wrong_with_a_start_has_a_name_and_the_others_are_served()
    {
        for (var seed = 0; seed < 20; seed++)
        {
            await using var bench = new EngineBench(blocks: Blocks, budget: 32);
            bench.Runner.PoisonToken = PoisonToken;
            var random = new Random(seed);
            var (good, bad) = (new List<(string, int[], int)>(), new List<(string, ErrorCode[])>());
            for (var i = 0; i < 60; i++)
            {
                var name = $"r{i}";
                var prompt = Prompt(random.Next(1000), random.Next(1, 60)).Select(t => t == PoisonToken ? 14 : t);
                var start = Start(name, [.. prompt], maxOutput: random.Next(1, 20));
                if (random.Next(2) == 0)
                {
                    var (spoil, codes) = Spoilers[random.Next(Spoilers.Length)];
                    spoil(start, random);
                    bad.Add((name, codes));
                }
                else good.Add((name, [.. prompt], (int)start.MaxOutputTokens));

                bench.Post(start);
                if (random.Next(3) == 0) bench.Engine.Turn();
            }

            bench.Finish();
            foreach (var (name, codes) in bad)
            {
                var code = bench.Owner.Event(name, SequenceEventKind.Failed).ErrorCode;
                Assert.Contains(code, codes.Select(known => known.ToString()));
                Assert.NotEmpty(bench.Owner.Event(name, SequenceEventKind.Failed).Message);
            }

            foreach (var (name, prompt, output) in good) AssertAnswer(bench, name, prompt, output);
            bench.AssertAllReturned();
        }
    }

    /// <summary>The model answers with any token, the poisonous one too: from there on nobody can compute.</summary>
    private static void AssertAnswer(EngineBench bench, string name, int[] prompt, int output)
    {
        var answer = FakeRunner.Answer(prompt, output);
        var poisoned = Array.IndexOf(answer, PoisonToken);
        if (poisoned < 0 || poisoned == answer.Length - 1)
        {
            Assert.Equal(answer, bench.Owner.Tokens(name));
            return;
        }

        Assert.Equal(answer[..(poisoned + 1)], bench.Owner.Tokens(name));
        Assert.Equal(nameof(ErrorCode.EngineFault), bench.Owner.Event(name, SequenceEventKind.Failed).ErrorCode);
    }

    [Fact]
    public async Task A_token_whose_weights_are_no_numbers_fails_its_sequence_and_no_other()
    {
        const int Broken = 77;
        using var checkpoint = new RandomCheckpoint(
            "LlamaForCausalLM", "BF16", broken: "model.embed_tokens.weight", brokenRow: Broken);
        using var model = checkpoint.Open();
        var config = model.Config;
        var geometry = new KvGeometry(config.Layers, config.KvHeads, config.HeadDim, BlockTokens: 16, KvFormat.BF16);
        using var runner = CpuModelRunner.Create(
            model, geometry, 64L * geometry.BlockBytes, threads: 1, CpuKernels.Best);
        await using var engine = new Engine(
            runner, new EngineSettings { Role = WorkerRole.Mixed, ModelFingerprint = "model" }, pulls: null,
            hold: null, new ManualTime(), NullLogger.Instance);
        var owner = new RecordingOwner();
        int[] sound = [3, 4, 5, 6, 7];
        void Serve(string name, int[] prompt) =>
            engine.Post(new EngineCommand.Start(owner, Start(name, prompt, maxOutput: 8)));

        Serve("before", sound);
        while (engine.Turn()) engine.CheckIntegrity();
        Serve("broken", [3, Broken, 5]);
        Serve("beside", sound);
        while (engine.Turn()) engine.CheckIntegrity();
        Serve("after", sound);
        while (engine.Turn()) engine.CheckIntegrity();
        Assert.Equal(nameof(ErrorCode.EngineFault), owner.Event("broken", SequenceEventKind.Failed).ErrorCode);
        Assert.Equal(8, owner.Tokens("before").Length);
        Assert.Equal(owner.Tokens("before"), owner.Tokens("beside"));
        Assert.Equal(owner.Tokens("before"), owner.Tokens("after"));
        Assert.Equal(0, engine.Load.PinnedBlocks);
    }

    private static float Odd(Random random) =>
        new[] { float.NaN, float.PositiveInfinity, float.NegativeInfinity, -1 }[random.Next(4)];
}
