using System.Runtime.CompilerServices;

namespace Krewe.Kernels;

/// <summary>Reads the two vectors that input k has in a panel of <see cref="PackedMatrix"/>, widened to
/// float.</summary>
internal unsafe interface IWeightLanes<TV>
    where TV : struct
{
    /// <summary>Bytes of one number.</summary>
    static abstract int ElementBytes { get; }

    /// <summary>Sums are of whole numbers, to be multiplied by <see cref="LinearTile.Scales"/> at the end.</summary>
    static virtual bool IsScaled => false;

    /// <summary>Outputs 0 .. lanes - 1 of the panel row at <paramref name="row"/>.</summary>
    static abstract TV Low(byte* row);

    /// <summary>Outputs lanes .. 2 * lanes - 1 of the panel row at <paramref name="row"/>.</summary>
    static abstract TV High(byte* row);
}

internal readonly unsafe struct BrainWeights<TOps, TV> : IWeightLanes<TV>
    where TOps : ILanes<TV>
    where TV : struct
{
    public static int ElementBytes => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TV Low(byte* row) => TOps.LowBrain((uint*)row);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TV High(byte* row) => TOps.HighBrain((uint*)row);
}

internal readonly unsafe struct HalfWeights<TOps, TV> : IWeightLanes<TV>
    where TOps : ILanes<TV>
    where TV : struct
{
    public static int ElementBytes => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TV Low(byte* row) => TOps.LowHalf((uint*)row);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TV High(byte* row) => TOps.HighHalf((uint*)row);
}

internal readonly unsafe struct SingleWeights<TOps, TV> : IWeightLanes<TV>
    where TOps : ILanes<TV>
    where TV : struct
{
    public static int ElementBytes => 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TV Low(byte* row) => TOps.Load((float*)row);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TV High(byte* row) => TOps.Load((float*)row + TOps.Count);
}

internal readonly unsafe struct ByteWeights<TOps, TV> : IWeightLanes<TV>
    where TOps : ILanes<TV>
    where TV : struct
{
    public static int ElementBytes => 1;

    public static bool IsScaled => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TV Low(byte* row) => TOps.LoadSignedBytes((sbyte*)row);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TV High(byte* row) => TOps.LoadSignedBytes((sbyte*)row + TOps.Count);
}
