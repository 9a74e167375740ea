using Krewe.Control.Tests;

namespace Krewe.Kernels.Tests.Sampling;

public sealed class SamplerTests
{
    private const int Draws = 20_000;

    // Four standard deviations of a share of 20,000 draws: 4 * sqrt(0.25 / 20000) = 0.014.
    private const double ShareTolerance = 0.015;

    [Fact]
    public void Greedy_takes_the_lowest_token_among_the_best()
    {
        using var sampler = new Sampler(100);
        var logits = new float[100];
        (logits[70], logits[41], logits[99]) = (3, 3, 3);
        Assert.Equal(41, Sample(sampler, logits, new SamplerSettings { Temperature = 0 }));
        logits[7] = float.NegativeInfinity;
        (logits[0], logits[1]) = (-0f, 0f);
        Array.Fill(logits, float.NegativeInfinity, 2, 98);
        Assert.Equal(0, Sample(sampler, logits, new SamplerSettings { Temperature = 0 }));
    }

    [Fact]
    public void Logits_that_are_not_numbers_are_a_named_error_and_do_not_harm_the_next_call()
    {
        using var sampler = new Sampler(37);
        foreach (var temperature in new[] { 0f, 1f })
        {
            var cases = new[] { (float.NaN, "33 is not a number"), (float.PositiveInfinity, "33 is infinite") };
            foreach (var (value, words) in cases)
            {
                var logits = new float[37];
                logits[33] = value;
                var settings = new SamplerSettings { Temperature = temperature };
                var error = Assert.Throws<InvalidLogitsException>(() => Sample(sampler, logits, settings));
                Assert.Contains(words, error.Message, StringComparison.Ordinal);
                logits[33] = 50;
                Assert.Equal(33, Sample(sampler, logits, settings));
            }
        }
    }

    [Fact]
    public void Forbidding_every_token_is_a_named_error()
    {
        using var sampler = new Sampler(3);
        var error = Assert.Throws<InvalidLogitsException>(
            () => sampler.Sample(new float[3], new SamplerSettings(), 0, [], [], forbidden: [0, 1, 2]));
        Assert.Contains("No token is left", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Shares_follow_the_softmax_at_the_temperature()
    {
        var logits = new[] { 0f, 1f, 2f, float.NegativeInfinity };
        foreach (var temperature in new[] { 0.5f, 1f, 2f })
        {
            var shares = Shares(logits, new SamplerSettings { Temperature = temperature, Seed = 3 });
            var weights = logits.Select(logit => Math.Exp(logit / temperature)).ToArray();
            for (var token = 0; token < logits.Length; token++)
                Assert.Equal(weights[token] / weights.Sum(), shares[token], ShareTolerance);
            Assert.Equal(0, shares[3]);
        }
    }

    [Fact]
    public void A_temperature_next_to_zero_is_greedy()
    {
        var shares = Shares([0, 1, 1.001f], new SamplerSettings { Temperature = 1e-30f });
        Assert.Equal(1, shares[2]);
    }

    [Fact]
    public void Top_k_keeps_the_best_and_breaks_ties_towards_lower_tokens()
    {
        var shares = Shares([1, 2, 2, 2, 0], new SamplerSettings { TopK = 2, Seed = 9 });
        Assert.Equal(0.5, shares[1], ShareTolerance);
        Assert.Equal(0.5, shares[2], ShareTolerance);
        Assert.Equal(1, shares[1] + shares[2]);
    }

    [Fact]
    public void Top_p_keeps_the_fewest_that_reach_it()
    {
        // Probabilities 0.5, 0.3, 0.15, 0.05: 0.79 needs two of them, 0.81 three.
        var logits = Logarithms(0.15, 0.5, 0.05, 0.3);
        var two = Shares(logits, new SamplerSettings { TopP = 0.79f, Seed = 1 });
        Assert.Equal(0, two[0] + two[2]);
        Assert.Equal(0.625, two[1], ShareTolerance);
        var three = Shares(logits, new SamplerSettings { TopP = 0.81f, Seed = 1 });
        Assert.Equal(0, three[2]);
        Assert.True(three[0] > 0);
        Assert.Equal(1, Shares(logits, new SamplerSettings { TopP = 1e-6f })[1]);
    }

    [Fact]
    public void Min_p_drops_what_is_far_less_likely_than_the_best()
    {
        var logits = Logarithms(1, 0.5, 0.09, 0.11);
        var shares = Shares(logits, new SamplerSettings { MinP = 0.1f, Seed = 2 });
        Assert.Equal(0, shares[2]);
        Assert.Equal(0.11 / 1.61, shares[3], ShareTolerance);
    }

    [Fact]
    public void The_shortlist_draws_what_a_full_sort_draws()
    {
        var random = new Random(4);
        using var sampler = new Sampler(500);
        for (var i = 0; i < 400; i++)
        {
            // Scales from flat, where all 500 are near the best, to steep.
            var logits = RandomData.Floats(random, 500, scale: (float)Math.Pow(10, random.Next(-1, 3)));
            var settings = new SamplerSettings
            {
                Temperature = 0.1f + (float)random.NextDouble(),
                TopK = random.Next(2) == 0 ? null : random.Next(1, 600),
                TopP = random.Next(2) == 0 ? 1 : (float)random.NextDouble() + 1e-3f,
                MinP = random.Next(2) == 0 ? 0 : (float)random.NextDouble() * 0.2f,
                Seed = random.NextInt64(),
            };
            var allowed = FullSort(logits, settings);
            for (var position = 0; position < 5; position++)
                Assert.Contains(sampler.Sample(logits, settings, position, [], [], []), allowed);
        }
    }

    [Fact]
    public void Bias_moves_logits_and_a_large_one_decides()
    {
        using var sampler = new Sampler(10);
        var settings = new SamplerSettings { Temperature = 0, LogitBias = [new LogitBias(4, 100)] };
        Assert.Equal(4, Sample(sampler, new float[10], settings));
        var wrong = new SamplerSettings { LogitBias = [new LogitBias(10, 1)] };
        Assert.Throws<ArgumentOutOfRangeException>(() => Sample(sampler, new float[10], wrong));
    }

    [Fact]
    public void Presence_counts_once_frequency_each_time_and_both_only_the_output()
    {
        using var sampler = new Sampler(4);
        var presence = new SamplerSettings { Temperature = 0, PresencePenalty = 1 };
        Assert.Equal(0, sampler.Sample([2, 1.5f, 0, 0], presence, 0, prompt: [0], output: [], []));
        Assert.Equal(1, sampler.Sample([2, 1.5f, 0, 0], presence, 2, [], output: [0, 0], []));
        Assert.Equal(0, sampler.Sample([3.1f, 2, 0, 0], presence, 2, [], output: [0, 0], []));
        var frequency = new SamplerSettings { Temperature = 0, FrequencyPenalty = 1 };
        Assert.Equal(1, sampler.Sample([3.1f, 2, 0, 0], frequency, 2, [], output: [0, 0], []));
    }

    [Fact]
    public void Repetition_counts_prompt_and_output_once()
    {
        using var sampler = new Sampler(3);
        var settings = new SamplerSettings { Temperature = 0, RepetitionPenalty = 2 };
        Assert.Equal(1, sampler.Sample([3, 2, 0], settings, 0, prompt: [0], [], []));
        Assert.Equal(0, sampler.Sample([3, 1, 0], settings, 1, prompt: [0, 0], output: [0, 0], []));
        // Negative logits move away from zero, so that the penalty never helps.
        Assert.Equal(1, sampler.Sample([-1, -1.5f, -9], settings, 0, prompt: [0], [], []));
    }

    [Fact]
    public void A_call_leaves_nothing_behind_for_the_next()
    {
        using var sampler = new Sampler(50);
        var logits = RandomData.Floats(new Random(8), 50, scale: 3);
        var plain = new SamplerSettings { Seed = 5 };
        var before = Enumerable.Range(0, 50).Select(i => sampler.Sample(logits, plain, i, [], [], [])).ToArray();
        var penalized = new SamplerSettings
        {
            Seed = 5,
            RepetitionPenalty = 1.3f,
            FrequencyPenalty = 0.5f,
            LogitBias = [new LogitBias(1, 2)],
            TopK = 5,
        };
        sampler.Sample(logits, penalized, 0, prompt: [1, 2], output: [2, 3], forbidden: [4]);
        Assert.Throws<ArgumentOutOfRangeException>(() => sampler.Sample(logits, penalized, 0, [1, 50], [2], []));
        var fresh = new Sampler(50);
        Assert.Equal(before, Enumerable.Range(0, 50).Select(i => sampler.Sample(logits, plain, i, [], [], [])));
        Assert.Equal(
            fresh.Sample(logits, penalized, 7, [1], [2, 2], []), sampler.Sample(logits, penalized, 7, [1], [2, 2], []));
        fresh.Dispose();
    }

    [Fact]
    public void Log_probabilities_are_of_the_softmax_before_any_setting()
    {
        using var sampler = new Sampler(5);
        var logits = new[] { 1f, 3f, 3f, -2f, 0f };
        var sum = Math.Log(logits.Sum(logit => Math.Exp(logit)));
        Assert.Equal(1 - sum, sampler.LogProbability(logits, 0), 1e-6);
        var (tokens, values) = (new int[3], new float[3]);
        sampler.TopLogProbabilities(logits, tokens, values);
        Assert.Equal([1, 2, 0], tokens);
        Assert.Equal(3 - sum, values[0], 1e-6);
        Assert.Equal(1 - sum, values[2], 1e-6);
    }

    [Fact]
    public void A_steady_state_allocates_nothing()
    {
        using var sampler = new Sampler(1000);
        var logits = RandomData.Floats(new Random(8), 1000, scale: 3);
        var settings = new SamplerSettings
        {
            TopK = 50,
            TopP = 0.9f,
            RepetitionPenalty = 1.1f,
            LogitBias = [new LogitBias(1, 2)],
        };
        int[] output = [1, 2, 3];
        sampler.Sample(logits, settings, 0, [], output, []);
        Assert.Equal(0, Allocations.Of(() =>
        {
            for (var position = 0; position < 1000; position++)
                sampler.Sample(logits, settings, position, [], output, []);
        }));
    }

    private static float[] Logarithms(params double[] shares) =>
        Array.ConvertAll(shares, share => (float)Math.Log(share));

    private static int Sample(Sampler sampler, float[] logits, SamplerSettings settings) =>
        sampler.Sample(logits, settings, 0, [], [], []);

    private static double[] Shares(float[] logits, SamplerSettings settings)
    {
        using var sampler = new Sampler(logits.Length);
        var counts = new int[logits.Length];
        for (var position = 0; position < Draws; position++)
            counts[sampler.Sample(logits, settings, position, [], [], [])]++;
        return Array.ConvertAll(counts, count => (double)count / Draws);
    }

    /// <summary>The tokens that the settings leave, straight from their definitions.</summary>
    private static HashSet<int> FullSort(float[] logits, SamplerSettings settings)
    {
        var best = logits.Max();
        var sorted = Enumerable.Range(0, logits.Length)
            .Select(token => (Token: token, Weight: Math.Exp((logits[token] - best) / settings.Temperature)))
            // Rounding may decide either way for a weight next to a bound.
            .Where(entry => entry.Weight >= settings.MinP * (1 - 1e-5))
            .OrderByDescending(entry => logits[entry.Token]).ThenBy(entry => entry.Token)
            .Take(settings.TopK ?? logits.Length).ToList();
        var (total, reached) = (sorted.Sum(entry => entry.Weight), 0.0);
        var allowed = new HashSet<int>();
        foreach (var (token, weight) in sorted)
        {
            if (reached > settings.TopP * total * (1 + 1e-5)) break;
            allowed.Add(token);
            reached += weight;
        }

        return allowed;
    }
}
