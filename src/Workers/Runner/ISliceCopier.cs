namespace Krewe.Workers;

/// <summary>An arena that moves many slices at once faster than one after the other.</summary>
internal interface ISliceCopier : IKvArena
{
    /// <summary>Copies the slices out, side by side.</summary>
    void CopyOut(ReadOnlySpan<BlockSlice> slices, Span<byte> destination);

    /// <summary>Copies what lies side by side into the slices.</summary>
    void CopyIn(ReadOnlySpan<BlockSlice> slices, ReadOnlySpan<byte> source);
}
