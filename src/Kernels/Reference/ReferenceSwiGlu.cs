namespace Krewe.Kernels.Reference;

/// <summary>Gated activation (arXiv 2002.05202): silu(gate) * up.</summary>
public static class ReferenceSwiGlu
{
    /// <summary>output[i] = gate[i] / (1 + e^-gate[i]) * up[i].</summary>
    public static void Apply(ReadOnlySpan<double> gate, ReadOnlySpan<double> up, Span<double> output)
    {
        for (var i = 0; i < output.Length; i++)
            output[i] = gate[i] / (1 + Math.Exp(-gate[i])) * up[i];
    }
}
