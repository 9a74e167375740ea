namespace Krewe.Kernels.Reference;

/// <summary>Rotary position embedding (arXiv 2104.09864), pairs (i, i + half) as Hugging Face checkpoints have
/// them.</summary>
public static class ReferenceRope
{
    /// <summary>Rotates one head [2 * frequencies] in place by position * frequency.</summary>
    public static void Rotate(Span<double> head, int position, RotaryFrequencies rotary)
    {
        ArgumentNullException.ThrowIfNull(rotary);
        var half = rotary.Frequencies.Count;
        for (var i = 0; i < half; i++)
        {
            var angle = position * rotary.Frequencies[i];
            var cosine = Math.Cos(angle) * rotary.Magnitude;
            var sine = Math.Sin(angle) * rotary.Magnitude;
            var (x, y) = (head[i], head[half + i]);
            head[i] = (x * cosine) - (y * sine);
            head[half + i] = (y * cosine) + (x * sine);
        }
    }
}
