using System.Runtime.CompilerServices;

namespace Krewe.Kernels;

/// <summary>Reads one vector of consecutive numbers of the KV cache, widened to float.</summary>
internal unsafe interface IKvLanes<TV>
    where TV : struct
{
    /// <summary>Bytes of one number.</summary>
    static abstract int ElementBytes { get; }

    static abstract TV Load(byte* source);
}

internal readonly unsafe struct BrainKv<TOps, TV> : IKvLanes<TV>
    where TOps : ILanes<TV>
    where TV : struct
{
    public static int ElementBytes => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TV Load(byte* source) => TOps.LoadBrain((ushort*)source);
}

internal readonly unsafe struct HalfKv<TOps, TV> : IKvLanes<TV>
    where TOps : ILanes<TV>
    where TV : struct
{
    public static int ElementBytes => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TV Load(byte* source) => TOps.LoadHalf((ushort*)source);
}

internal readonly unsafe struct SingleKv<TOps, TV> : IKvLanes<TV>
    where TOps : ILanes<TV>
    where TV : struct
{
    public static int ElementBytes => 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TV Load(byte* source) => TOps.Load((float*)source);
}
