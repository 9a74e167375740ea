namespace Krewe.Kernels.Reference;

/// <summary>Root-mean-square normalisation (arXiv 1910.07467). One row.</summary>
public static class ReferenceRmsNorm
{
    /// <summary>output = input / sqrt(mean(input^2) + epsilon) * weight; [n] each, in place allowed.</summary>
    public static void Normalize(
        ReadOnlySpan<double> input, ReadOnlySpan<float> weight, double epsilon, Span<double> output)
    {
        var squares = 0.0;
        foreach (var value in input)
            squares += value * value;
        var scale = 1 / Math.Sqrt((squares / input.Length) + epsilon);
        for (var i = 0; i < input.Length; i++)
            output[i] = input[i] * scale * weight[i];
    }
}
