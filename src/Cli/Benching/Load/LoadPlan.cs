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
        string? key = null)
    {
        var random = new SeededRandom((ulong)seed);
        var tokens = new Random(seed);
        List<LoadRequest> plan = [];
        for (var at = Next(); at < span; at += Next())
            plan.Add(new LoadRequest(at, Prompt(tokens, promptTokens, vocabularySize), outputTokens, key));
        return plan;

        TimeSpan Next() => TimeSpan.FromSeconds(Arrivals.Gap(random, cv: 1) / ratePerSecond);
    }

    /// <summary>
    /// A trace's requests, the first at once. Prompts whose blocks have one id have the same tokens there, and no
    /// others have. Cut to what the context takes, the prompt at its end.
    /// </summary>
    public static List<LoadRequest> Of(Trace trace, int contextTokens, int vocabularySize, int seed, string? key)
    {
        var random = new Random(seed);
        List<LoadRequest> plan = [];
        long? first = null;
        foreach (var request in trace.Requests)
        {
            first ??= request.ArrivalNs;
            var output = Math.Clamp(request.OutputTokens, 1, contextTokens - 1);
            var prompt = Prompt(random, Math.Min(request.PromptTokens, contextTokens - output), vocabularySize);
            for (var block = 0; block < request.HashCount; block++)
            {
                var from = block * trace.HashTokens;
                if (from >= prompt.Length) break;
                var shared = new Random(unchecked((seed * 486187739) + trace.Hashes[request.FirstHash + block]));
                for (var i = from; i < Math.Min(from + trace.HashTokens, prompt.Length); i++)
                    prompt[i] = shared.Next(vocabularySize);
            }

            plan.Add(new LoadRequest(TimeSpan.FromTicks((request.ArrivalNs - first.Value) / 100), prompt, output, key));
        }

        return plan;
    }

    public static int[] Prompt(Random random, int tokens, int vocabularySize)
    {
        var prompt = new int[tokens];
        for (var i = 0; i < tokens; i++) prompt[i] = random.Next(vocabularySize);
        return prompt;
    }
}
