namespace Krewe.Kernels;

/// <summary>
/// What one micro-kernel call computes: up to 8 rows times up to 4 panels. A kernel made for more rows or panels than
/// there are reads the last one again instead and stores nothing for it, so that no shape needs a slow path.
/// </summary>
internal unsafe struct LinearTile
{
    /// <summary>First row, [Rows, inputs], rows <see cref="InputStride"/> floats apart.</summary>
    public float* Input;

    public nint InputStride;

    public int Rows;

    public nint Inputs;

    /// <summary>First panel; the next is <see cref="PanelBytes"/> on.</summary>
    public byte* Weights;

    public nint PanelBytes;

    public int Panels;

    /// <summary>Bias of the first panel's first output.</summary>
    public float* Bias;

    /// <summary>What the first panel's first output's sum is multiplied by; of INT8 weights only.</summary>
    public float* Scales;

    /// <summary>First row's place for the first panel's first output; rows <see cref="OutputStride"/> floats apart.
    /// </summary>
    public float* Output;

    public nint OutputStride;

    /// <summary>Adds the product to the output (a residual) instead of replacing it.</summary>
    public bool Accumulate;
}
