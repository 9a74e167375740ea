using Krewe.Silo.Gateway.Requests;

namespace Krewe.Silo.Gateway.Answers;

/// <summary>
/// Which of the computed sequences are shown: per prompt the n with the highest mean log-probability of a token, best
/// first, as OpenAI defines best_of. With as many shown as computed their order stays.
/// </summary>
internal static class BestOf
{
    /// <param name="request">Its sequences are prompt by prompt, <c>Candidates</c> each.</param>
    /// <param name="sequences">All of them, in order.</param>
    public static IReadOnlyList<WholeChoice> Choose(GenerationRequest request, IReadOnlyList<WholeChoice> sequences)
    {
        if (request.Candidates == request.Choices) return sequences;
        return
        [
            .. sequences.Chunk(request.Candidates)
                .SelectMany(ofPrompt => ofPrompt.OrderByDescending(MeanLogprob).ThenBy(choice => choice.Sequence)
                    .Take(request.Choices))
                .Select((choice, index) => choice with { Index = index }),
        ];
    }

    private static double MeanLogprob(WholeChoice choice) =>
        choice.Logprobs.Count == 0 ? double.NegativeInfinity : choice.Logprobs.Average(token => (double)token.Logprob);
}
