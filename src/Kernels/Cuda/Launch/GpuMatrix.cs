namespace Krewe.Kernels.Cuda;

/// <summary>A weight matrix on the device.</summary>
/// <param name="Weights">[Outputs x Inputs], row-major, elements or INT8.</param>
/// <param name="Scales">[Outputs] floats where the weights are INT8, else 0.</param>
/// <param name="Outputs">Rows.</param>
/// <param name="Inputs">Columns, padded with zeros to a multiple of <see cref="LinearPlan.GroupInputs"/>.</param>
/// <param name="ChunkInputs">See <see cref="LinearPlan"/>.</param>
public sealed record GpuMatrix(nint Weights, nint Scales, int Outputs, int Inputs, int ChunkInputs)
{
    public bool IsInt8 => Scales != 0;

    public int Chunks => LinearPlan.CeilDiv(Inputs, ChunkInputs);

    /// <summary>Floats of the output for up to <paramref name="rows"/> rows.</summary>
    public long OutputFloats(int rows) =>
        (long)Outputs * Math.Max(rows, Math.Min(rows, CudaKernels.FewRows) * Chunks);
}
