using Krewe.Kernels;
using Krewe.Kernels.Cuda;
using Krewe.Kernels.Tests;

namespace Krewe.Cuda.Tests.Kernels;

/// <summary>The device draws the tokens that the CPU's sampler draws.</summary>
[Collection(EmulatedGpuDefinition.Name)]
public sealed class SampleTests : IDisposable
{
    private const int Vocabulary = 5003;

    private readonly Gpu _gpu = new();
    private readonly Random _random = new(3);

    public void Dispose() => _gpu.Dispose();

    [EmulatedFact]
    public void Every_setting_gives_the_CPUs_token()
    {
        const int Rows = 40;
        var logits = RandomData.Floats(_random, Rows * Vocabulary, 4);
        // Equal logits: ties go to the lower id on both sides.
        for (var i = 0; i < logits.Length; i += 3) logits[i] = MathF.Round(logits[i]);
        // Rows of few different ones, and rows of hardly any: the id decides among hundreds, and among thousands.
        for (var i = 0; i < 16 * Vocabulary; i++) logits[i] = MathF.Round(logits[i]);
        for (var i = 0; i < 8 * Vocabulary; i++) logits[i] = 8 * MathF.Round(logits[i] / 8);
        var settings = Enumerable.Range(0, Rows).Select(Settings).ToArray();
        var draws = Enumerable.Range(0, Rows).Select(row => SampleDraw.Of(settings[row], row * 7)!.Value).ToArray();

        var tokens = Sample(logits, draws);

        using var sampler = new Sampler(Vocabulary);
        for (var row = 0; row < Rows; row++)
        {
            Assert.Equal(
                sampler.Sample(logits.AsSpan(row * Vocabulary, Vocabulary), settings[row], row * 7, [], [], []),
                tokens[row]);
        }
    }

    [EmulatedFact]
    public void Broken_logits_give_no_token()
    {
        var logits = RandomData.Floats(_random, 4 * Vocabulary);
        logits[17] = float.NaN;
        logits[Vocabulary + 9] = float.PositiveInfinity;
        logits.AsSpan(2 * Vocabulary, Vocabulary).Fill(float.NegativeInfinity);
        var greedy = new SampleDraw(0, 1, 0, 0, 1, 0, 0);

        Assert.Equal(
            [-1, -1, -1, Array.IndexOf(logits[(3 * Vocabulary)..], logits[(3 * Vocabulary)..].Max())],
            Sample(logits, [greedy, greedy with { Temperature = 1 }, greedy, greedy]));
    }

    private static SamplerSettings Settings(int row) => new()
    {
        Temperature = row % 5 == 0 ? 0 : 0.3f + (row % 4 * 0.4f),
        TopK = row % 3 == 1 ? 1 + (row % 7 * 9) : null,
        TopP = row % 4 == 2 ? 0.35f + (row % 5 * 0.1f) : 1,
        MinP = row % 6 == 3 ? 0.02f : 0,
        Seed = 1000 + (row * 99991L),
        Choice = row % 3,
    };

    private int[] Sample(float[] logits, SampleDraw[] draws)
    {
        var tokens = _gpu.Poisoned<int>(draws.Length);
        _gpu.Kernels().Sample(
            _gpu.Stream, _gpu.Upload(logits), Vocabulary, Vocabulary, _gpu.Upload(draws), tokens,
            _gpu.Upload(draws.Length), draws.Length);
        return _gpu.Download<int>(tokens, draws.Length);
    }
}
