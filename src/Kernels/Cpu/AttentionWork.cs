using Krewe.Abstractions;

namespace Krewe.Kernels;

/// <summary>
/// One piece of attention: consecutive rows of one sequence, and the query heads that share one KV head. At most
/// <see cref="MaxQueries"/> (row, head) pairs.
/// </summary>
public readonly unsafe struct AttentionWork
{
    /// <summary>Rows times <see cref="Heads"/> of one piece.</summary>
    public const int MaxQueries = 16;

    /// <summary>Rotated and scaled query of the first row and head; [Rows] x <see cref="QueryStride"/>
    /// floats.</summary>
    public float* Query { get; init; }

    public long QueryStride { get; init; }

    /// <summary>Where the first row and head's result goes; [Rows] x <see cref="OutputStride"/> floats.</summary>
    public float* Output { get; init; }

    public long OutputStride { get; init; }

    public int Rows { get; init; }

    /// <summary>Query heads, adjacent in a row, HeadDim floats each.</summary>
    public int Heads { get; init; }

    /// <summary>Position of the first row; it attends to positions up to its own.</summary>
    public int FirstPosition { get; init; }

    /// <summary>A row attends to this many last positions, its own included; null = to all.</summary>
    public int? Window { get; init; }

    /// <summary>The sequence's block ids.</summary>
    public int* BlockTable { get; init; }

    /// <summary>The arena's first byte.</summary>
    public byte* Arena { get; init; }

    public KvGeometry Geometry { get; init; }

    public int Layer { get; init; }

    public int KvHead { get; init; }

    /// <summary>Of <see cref="CpuKernels.AttentionScratchFloats"/> floats, the calling thread's own.</summary>
    public float* Scratch { get; init; }

    /// <summary>What a row attends to.</summary>
    internal VisibleRange SeenBy(int row) => VisibleRange.Of(FirstPosition + row, Window);

    /// <summary>Dim 0 of this KV head's keys and values in the slot of <paramref name="position"/>.</summary>
    internal void Locate(int position, out byte* keys, out byte* values)
    {
        var (index, slot) = Math.DivRem(position, Geometry.BlockTokens);
        var plane = Arena + ((long)BlockTable[index] * Geometry.BlockBytes) + ((long)Layer * Geometry.LayerBytes)
            + ((long)KvHead * Geometry.HeadDim * Geometry.BlockTokens * Geometry.ElementBytes);
        keys = plane + ((long)slot * Geometry.ElementBytes);
        values = plane + Geometry.PlaneBytes + ((long)slot * Geometry.HeadDim * Geometry.ElementBytes);
    }
}
