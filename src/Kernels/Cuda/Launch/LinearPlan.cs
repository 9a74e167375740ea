namespace Krewe.Kernels.Cuda;

/// <summary>
/// How a product's K is cut into chunks. A function of the matrix alone, never of the rows or the GPU: it decides the
/// order of every sum (ADR 0016). Chunks let a decode step of a small matrix fill a large GPU.
/// </summary>
public static class LinearPlan
{
    /// <summary>Inputs are padded to whole groups of this many.</summary>
    public const int GroupInputs = 32;

    /// <summary>Outputs of one thread block when there are few rows.</summary>
    public const int BlockOutputs = 64;

    // Two thread blocks for each multiprocessor of the largest GPU of today.
    private const int WantedThreadBlocks = 264;

    private const int ChunkInputsMin = 256;
    private const int ChunksMax = 16;

    public static int PaddedInputs(int inputs) => CeilDiv(inputs, GroupInputs) * GroupInputs;

    /// <summary>Inputs of a chunk, a multiple of <see cref="GroupInputs"/>.</summary>
    /// <param name="inputs">Padded.</param>
    /// <param name="whole">One chunk, for a product whose reader cannot fold.</param>
    public static int ChunkInputs(int outputs, int inputs, bool whole)
    {
        if (whole) return inputs;
        var wanted = Math.Min(CeilDiv(WantedThreadBlocks, CeilDiv(outputs, BlockOutputs)), ChunksMax);
        return Math.Clamp(PaddedInputs(CeilDiv(inputs, wanted)), Math.Min(ChunkInputsMin, inputs), inputs);
    }

    internal static int CeilDiv(int value, int divisor) => (value + divisor - 1) / divisor;
}
