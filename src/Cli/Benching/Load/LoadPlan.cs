using Krewe.Simulation;

namespace Krewe.Cli;

/// <summary>Makes requests of a rate or of a trace. One seed makes one plan.</summary>
internal static class LoadPlan
{
    /// <summary>Poisson arrivals of prompts that have nothing in common.</summary>
    /// <param name="ratePerSecond">Mean.</param>
    /// <param name="span">Arrivals lie in it.</param>
    public static List<LoadRequest> Poisson(
        double ratePerSecond, TimeSpan span, int promptTokens, int outputTokens, int vocabularySize, int seed,
        string? key = null, string group = "")
    {
        var random = new SeededRandom((ulong)seed);
        var tokens = new Random(seed);
        List<LoadRequest> plan = [];
        for (var at = Next(); at < span; at += Next())
            plan.Add(new LoadRequest(at, Prompt(tokens, promptTokens, vocabularySize), outputTokens, key, group));
        return plan;

        TimeSpan Next() => TimeSpan.FromSeconds(Arrivals.Gap(random, cv: 1) / ratePerSecond);
    }

    public static int[] Prompt(Random random, int tokens, int vocabularySize)
    {
        var prompt = new int[tokens];
        for (var i = 0; i < tokens; i++) prompt[i] = random.Next(vocabularySize);
        return prompt;
    }
}
