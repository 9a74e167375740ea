namespace Krewe.Cli;

/// <summary>Token ids that depend on sequence and position only: every run and every layer computes the same.</summary>
internal static class BenchPrompts
{
    public static int[] Of(int sequence, int tokens, int vocabularySize)
    {
        var prompt = new int[tokens];
        for (var i = 0; i < tokens; i++)
            prompt[i] = (int)(((i * 37L) + (sequence * 101L)) % vocabularySize);
        return prompt;
    }
}
