namespace Krewe.Workers;

/// <summary>
/// The memory of a payload. An arena that the host can address is sent from and received into in place; device memory
/// goes through one staging buffer.
/// </summary>
internal static class ArenaParts
{
    /// <summary>The slices' own memory; null where the host cannot address it.</summary>
    public static List<Memory<byte>>? InPlace(IKvArena arena, ReadOnlySpan<BlockSlice> slices)
    {
        var parts = new List<Memory<byte>>(slices.Length + 1);
        foreach (var slice in slices)
        {
            if (!arena.TryGetMemory(slice.Block, out var block)) return null;
            parts.Add(block.Slice(slice.Start, slice.Length));
        }

        return parts;
    }

    public static int LengthOf(ReadOnlySpan<BlockSlice> slices)
    {
        var bytes = 0;
        foreach (var slice in slices) bytes = checked(bytes + slice.Length);
        return bytes;
    }

    /// <summary>Fetches the slices from the device.</summary>
    public static byte[] CopyOut(IKvArena arena, ReadOnlySpan<BlockSlice> slices)
    {
        var staging = new byte[LengthOf(slices)];
        if (arena is ISliceCopier copier)
        {
            copier.CopyOut(slices, staging);
            return staging;
        }

        var at = 0;
        foreach (var slice in slices)
        {
            arena.CopyOut(slice.Block, slice.Start, staging.AsSpan(at, slice.Length));
            at += slice.Length;
        }

        return staging;
    }

    /// <summary>Puts what arrived into its place on the device.</summary>
    public static void CopyIn(IKvArena arena, ReadOnlySpan<BlockSlice> slices, ReadOnlySpan<byte> staging)
    {
        if (arena is ISliceCopier copier)
        {
            copier.CopyIn(slices, staging);
            return;
        }

        var at = 0;
        foreach (var slice in slices)
        {
            arena.CopyIn(slice.Block, slice.Start, staging.Slice(at, slice.Length));
            at += slice.Length;
        }
    }
}
