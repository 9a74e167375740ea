using System.Runtime.CompilerServices;

namespace Krewe.Kernels;

/// <summary>Reads and writes one vector of consecutive numbers of the KV cache.</summary>
internal unsafe interface IKvLanes<TV>
    where TV : struct
{
    /// <summary>Bytes of one number.</summary>
    static abstract int ElementBytes { get; }

    /// <summary>Widened to float, exactly.</summary>
    static abstract TV Load(byte* source);

    /// <summary>Rounded to nearest even.</summary>
    static abstract void Store(TV value, byte* target);
}

internal readonly unsafe struct BrainKv<TOps, TV> : IKvLanes<TV>
    where TOps : ILanes<TV>
    where TV : struct
{
    public static int ElementBytes => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TV Load(byte* source) => TOps.LoadBrain((ushort*)source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(TV value, byte* target) => TOps.StoreBrain(value, (ushort*)target);
}

internal readonly unsafe struct HalfKv<TOps, TV> : IKvLanes<TV>
    where TOps : ILanes<TV>
    where TV : struct
{
    public static int ElementBytes => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TV Load(byte* source) => TOps.LoadHalf((ushort*)source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(TV value, byte* target) => TOps.StoreHalf(value, (ushort*)target);
}

internal readonly unsafe struct SingleKv<TOps, TV> : IKvLanes<TV>
    where TOps : ILanes<TV>
    where TV : struct
{
    public static int ElementBytes => 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TV Load(byte* source) => TOps.Load((float*)source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(TV value, byte* target) => TOps.Store(value, (float*)target);
}
