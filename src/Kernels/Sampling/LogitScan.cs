using System.Numerics;
using System.Runtime.InteropServices;

namespace Krewe.Kernels;

/// <summary>Passes over logits that only compare.</summary>
internal static class LogitScan
{
    /// <summary>The lowest index among the largest logits.</summary>
    /// <exception cref="InvalidLogitsException">No token can be chosen.</exception>
    public static int ArgMax(ReadOnlySpan<float> logits)
    {
        var maximum = Max(logits);
        if (float.IsNaN(maximum))
            throw new InvalidLogitsException($"The logit of token {IndexOfNaN(logits)} is not a number.");
        if (float.IsInfinity(maximum))
        {
            throw new InvalidLogitsException(float.IsPositive(maximum)
                ? $"The logit of token {IndexOf(logits, maximum)} is infinite."
                : "No token is left to choose from: every logit is negative infinity.");
        }

        return IndexOf(logits, maximum);
    }

    /// <summary>Fills both spans with the largest logits, best first, lower index first among equals.</summary>
    public static void Top(ReadOnlySpan<float> logits, Span<int> tokens, Span<float> values)
    {
        var count = 0;
        for (var token = 0; token < logits.Length; token++)
        {
            var value = logits[token];
            if (count == tokens.Length && (count == 0 || value <= values[count - 1])) continue;
            if (count < tokens.Length) count++;
            var place = count - 1;
            for (; place > 0 && values[place - 1] < value; place--)
            {
                values[place] = values[place - 1];
                tokens[place] = tokens[place - 1];
            }

            values[place] = value;
            tokens[place] = token;
        }
    }

    /// <summary>How many logits are larger.</summary>
    public static int CountAbove(ReadOnlySpan<float> logits, float value)
    {
        var count = 0;
        foreach (var logit in logits)
            count += logit > value ? 1 : 0;
        return count;
    }

    /// <summary>NaN when any element is.</summary>
    private static float Max(ReadOnlySpan<float> logits)
    {
        var maximum = float.NegativeInfinity;
        var vectors = MemoryMarshal.Cast<float, Vector<float>>(logits);
        var maxima = new Vector<float>(maximum);
        foreach (var vector in vectors)
            maxima = Vector.Max(maxima, vector);
        for (var lane = 0; lane < Vector<float>.Count; lane++)
            maximum = MathF.Max(maximum, maxima[lane]);
        foreach (var value in logits[(vectors.Length * Vector<float>.Count)..])
            maximum = MathF.Max(maximum, value);
        return maximum;
    }

    private static int IndexOf(ReadOnlySpan<float> logits, float value)
    {
        var vectors = MemoryMarshal.Cast<float, Vector<float>>(logits);
        var wanted = new Vector<float>(value);
        var start = 0;
        while (start < vectors.Length && !Vector.EqualsAny(vectors[start], wanted)) start++;
        start *= Vector<float>.Count;
        return start + logits[start..].IndexOf(value);
    }

    private static int IndexOfNaN(ReadOnlySpan<float> logits)
    {
        var i = 0;
        while (!float.IsNaN(logits[i])) i++;
        return i;
    }
}
