using System.Runtime.CompilerServices;
using Krewe.Abstractions;

namespace Krewe.Kernels;

/// <summary>
/// Stores a token's keys and values: keys are scattered, a slot in each dim's row; values lie together.
/// </summary>
internal static unsafe class CpuKvWriter<TOps, TV>
    where TOps : ILanes<TV>
    where TV : struct
{
    public static void Store(byte* block, in KvGeometry geometry, int layer, int slot, float* keys, float* values)
    {
        var plane = block + ((long)layer * geometry.LayerBytes);
        switch (geometry.Format)
        {
            case KvFormat.BF16:
                Store<BrainKv<TOps, TV>>(plane, geometry, slot, keys, values);
                break;
            case KvFormat.F16:
                Store<HalfKv<TOps, TV>>(plane, geometry, slot, keys, values);
                break;
            case KvFormat.F32:
                Store<SingleKv<TOps, TV>>(plane, geometry, slot, keys, values);
                break;
            default:
                throw new ArgumentOutOfRangeException(
                    nameof(geometry), geometry.Format, "No kernel for this KV format.");
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Store<TK>(byte* plane, in KvGeometry geometry, int slot, float* keys, float* values)
        where TK : IKvLanes<TV>
    {
        // The last vector of a head reads on into the next one (or into slack) and keeps what belongs to it.
        var rounded = stackalloc byte[TOps.Count * TK.ElementBytes];
        var (dims, slots) = (geometry.HeadDim, geometry.BlockTokens);
        for (var head = 0; head < geometry.KvHeads; head++)
        {
            var keyTarget = plane + ((((long)head * dims * slots) + slot) * TK.ElementBytes);
            var valueTarget = plane + geometry.PlaneBytes + ((((long)head * slots) + slot) * dims * TK.ElementBytes);
            for (var dim = 0; dim < dims; dim += TOps.Count)
            {
                var count = Math.Min(TOps.Count, dims - dim);
                TK.Store(TOps.Load(keys + dim), rounded);
                Scatter<TK>(rounded, count, keyTarget + ((long)dim * slots * TK.ElementBytes), slots);
                TK.Store(TOps.Load(values + dim), rounded);
                Unsafe.CopyBlockUnaligned(
                    valueTarget + (dim * TK.ElementBytes), rounded, (uint)(count * TK.ElementBytes));
            }

            keys += dims;
            values += dims;
        }
    }

    private static void Scatter<TK>(byte* rounded, int count, byte* target, int stride)
        where TK : IKvLanes<TV>
    {
        for (var i = 0; i < count; i++)
        {
            if (TK.ElementBytes == sizeof(ushort))
                ((ushort*)target)[i * stride] = ((ushort*)rounded)[i];
            else
                ((uint*)target)[i * stride] = ((uint*)rounded)[i];
        }
    }
}
