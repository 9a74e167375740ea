namespace Krewe.Kernels;

/// <summary>
/// The best tokens in order, for settings that keep only some. Sorts no more of the vocabulary than they can need:
/// tokens within a distance of the best logit, which widens until the kept ones are certainly among them.
/// </summary>
internal sealed class Shortlist(int vocabularySize)
{
    /// <summary>Distances below the best, in units of the temperature: e^-8 covers most draws.</summary>
    private static readonly float[] Distances = [8, 16, 32, float.PositiveInfinity];

    // Ascending keys are descending logits, then ascending tokens.
    private readonly ulong[] _keys = new ulong[vocabularySize];

    public int Draw(
        ReadOnlySpan<float> logits, ReadOnlySpan<float> weights, SamplerSettings settings, float best, double uniform)
    {
        foreach (var distance in Distances)
        {
            var found = Gather(logits, weights, settings.MinP, best - (distance * settings.Temperature));
            var whole = float.IsPositiveInfinity(distance);
            var kept = Math.Min(found, settings.TopK ?? logits.Length);
            if (kept < settings.TopK && !whole) continue;

            // Without top_k what was not gathered counts too, as far as min_p lets it.
            var total = settings.TopK is null && !whole
                ? TotalWeight(weights, settings.MinP)
                : WeightOf(weights, kept);
            var complete = whole || settings.TopK is not null;
            if (TryDraw(weights, kept, settings.TopP * total, uniform, complete, out var token)) return token;
        }

        throw new InvalidLogitsException("No token is left after top_k, top_p and min_p.");
    }

    /// <summary>Sorts the tokens whose logit is at least <paramref name="lowest"/> and whose weight min_p
    /// allows.</summary>
    private int Gather(ReadOnlySpan<float> logits, ReadOnlySpan<float> weights, float minP, float lowest)
    {
        var count = 0;
        for (var token = 0; token < logits.Length; token++)
        {
            if (logits[token] >= lowest && weights[token] >= minP && weights[token] > 0)
                _keys[count++] = ((ulong)Descending(logits[token]) << 32) | (uint)token;
        }

        Array.Sort(_keys, 0, count);
        return count;
    }

    /// <summary>Draws among the fewest first tokens whose weights reach <paramref name="mass"/>.</summary>
    /// <param name="complete">Whether nothing behind the kept ones may be drawn: then they serve even when rounding
    /// leaves their sum below the mass.</param>
    private bool TryDraw(
        ReadOnlySpan<float> weights, int kept, double mass, double uniform, bool complete, out int token)
    {
        var (nucleus, reached) = (0, 0.0);
        while (nucleus < kept && reached < mass)
            reached += weights[TokenAt(nucleus++)];
        token = 0;
        if (nucleus == 0 || (reached < mass && !complete)) return false;

        var remaining = uniform * reached;
        for (var i = 0; i < nucleus; i++)
        {
            token = TokenAt(i);
            remaining -= weights[token];
            if (remaining < 0) break;
        }

        return true;
    }

    private static double TotalWeight(ReadOnlySpan<float> weights, float minP)
    {
        var total = 0.0;
        foreach (var weight in weights)
            total += weight >= minP ? weight : 0;
        return total;
    }

    private double WeightOf(ReadOnlySpan<float> weights, int count)
    {
        var total = 0.0;
        for (var i = 0; i < count; i++)
            total += weights[TokenAt(i)];
        return total;
    }

    private int TokenAt(int place) => (int)(uint)_keys[place];

    /// <summary>An integer that falls as the logit rises.</summary>
    private static uint Descending(float logit)
    {
        // + 0 makes -0 equal to 0, so that their order is by token.
        var bits = BitConverter.SingleToUInt32Bits(logit + 0f);
        return (bits & 0x8000_0000) != 0 ? bits : 0x7fff_ffff - bits;
    }
}
