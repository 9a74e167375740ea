namespace Krewe.Kernels.Reference;

/// <summary>Dense product: output[n] = bias[n] + sum over k of weights[n, k] * input[k]. One row.</summary>
public static class ReferenceLinear
{
    /// <param name="input">[inputs].</param>
    /// <param name="weights">[outputs, inputs], row-major.</param>
    /// <param name="bias">[outputs], or empty for none.</param>
    /// <param name="output">[outputs].</param>
    public static void Multiply(
        ReadOnlySpan<double> input, ReadOnlySpan<float> weights, ReadOnlySpan<float> bias, Span<double> output)
    {
        for (var n = 0; n < output.Length; n++)
        {
            var row = weights.Slice(n * input.Length, input.Length);
            var sum = bias.IsEmpty ? 0.0 : bias[n];
            for (var k = 0; k < input.Length; k++)
                sum += row[k] * input[k];
            output[n] = sum;
        }
    }
}
