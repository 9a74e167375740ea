namespace Krewe.Control.Batches;

/// <summary>
/// The order in which a batch's prompts are computed: prompts with a common beginning next to each other, so that each
/// beginning is computed once while it is in the prefix cache, however small the cache is (BatchLLM, arXiv 2412.03594;
/// the order is its prefix tree's, depth first).
/// </summary>
public static class PrefixOrder
{
    /// <summary>Tokens of a common beginning that are worth waiting for: below it the second prompt computes them
    /// itself sooner.</summary>
    public const int SharedTokensMin = 64;

    /// <summary>Indices of the prompts, in order. Equal beginnings keep the order of arrival.</summary>
    /// <param name="prompts">Token ids; the beginnings are enough.</param>
    public static int[] Of(IReadOnlyList<ReadOnlyMemory<int>> prompts)
    {
        var order = Enumerable.Range(0, prompts.Count).ToArray();
        Array.Sort(order, (a, b) =>
        {
            var compared = prompts[a].Span.SequenceCompareTo(prompts[b].Span);
            return compared != 0 ? compared : a.CompareTo(b);
        });
        return order;
    }

    /// <summary>Tokens that both begin with.</summary>
    public static int Shared(ReadOnlyMemory<int> a, ReadOnlyMemory<int> b) =>
        a.Span.CommonPrefixLength(b.Span);
}
