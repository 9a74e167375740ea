using Krewe.Abstractions.Wire;
using static Krewe.Workers.Tests.EngineBench;

namespace Krewe.Workers.Tests;

/// <summary>
/// Messages that no silo would send are refused, each with a last word; the engine goes on and holds nothing of them.
/// </summary>
public sealed class StartFuzzTests
{
    private const int Seed = 20_261_130;
    private const int Starts = 400;

    private static readonly uint[] Odd = [0, 1, 2, 15, 16, 17, 210, 211, 399, 400, 401, int.MaxValue, uint.MaxValue];

    private static readonly float[] OddFloats = [0, -0f, 1, -1, 1e-30f, 1e30f, float.NaN, float.PositiveInfinity];

    [Fact]
    public async Task Random_starts_and_aborts_are_answered_and_leave_nothing_behind()
    {
        await using var bench = new EngineBench(blocks: 40, endTokens: [3]);
        var random = new Random(Seed);
        for (var i = 0; i < Starts; i++)
        {
            if (random.Next(10) == 0) bench.Abort($"r{random.Next(i + 1)}", random.Next(3));
            else bench.Post(NextStart(random, $"r{i}"));
            if (random.Next(20) == 0) bench.Finish();
        }

        bench.Finish();
        for (var epoch = 0; epoch < 3; epoch++)
        {
            for (var i = 0; i < Starts; i++) bench.Abort($"r{i}", epoch);
        }

        bench.Finish();
        var prompt = Prompt(1, 20);
        bench.Post(Start("sound", prompt, maxOutput: 10));
        bench.Finish();

        Assert.Equal(FakeRunner.Answer(prompt, 10), bench.Owner.Tokens("sound"));
        bench.AssertAllReturned();
    }

    private static StartSequence NextStart(Random random, string id)
    {
        var start = Start(id, Prompt(random.Next(), random.Next(60)), random.Next(20), (SequencePart)random.Next(4));
        var sampling = start.Sampling;
        if (random.Next(3) == 0) start.Key.Epoch = (uint)random.Next(3);
        if (random.Next(8) == 0) start.PromptTokens.Add(Pick(random, Odd));
        if (random.Next(8) == 0) start.OutputTokens.Add(Pick(random, Odd));
        if (random.Next(8) == 0) start.MaxOutputTokens = (uint)random.Next(50);
        if (random.Next(8) == 0) start.MinOutputTokens = Pick(random, Odd);
        if (random.Next(8) == 0) start.StopTokens.Add(Pick(random, Odd));
        if (random.Next(8) == 0) start.LeaseMs = 0;
        if (random.Next(8) == 0) sampling.Temperature = Pick(random, OddFloats);
        if (random.Next(8) == 0) sampling.TopP = Pick(random, OddFloats);
        if (random.Next(8) == 0) sampling.MinP = Pick(random, OddFloats);
        if (random.Next(8) == 0) sampling.RepetitionPenalty = Pick(random, OddFloats);
        if (random.Next(8) == 0) sampling.PresencePenalty = Pick(random, OddFloats);
        if (random.Next(8) == 0) sampling.TopK = Pick(random, Odd);
        if (random.Next(8) == 0) sampling.Choice = Pick(random, Odd);
        if (random.Next(8) == 0) sampling.TopLogprobs = Pick(random, Odd);
        if (random.Next(8) == 0) sampling.PromptLogprobs = Pick(random, Odd);
        if (random.Next(8) == 0) sampling.LogitBias[Pick(random, Odd)] = Pick(random, OddFloats);
        if (random.Next(30) == 0) sampling.Constraint = "nonsense";
        if (random.Next(30) == 0) start.Sampling = null;
        return start;
    }

    private static T Pick<T>(Random random, T[] from) => from[random.Next(from.Length)];
}
