using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Krewe.Workers;

/// <summary>
/// Copies KV that nobody reads soon: written past the caches, so that the target's lines are not fetched first only to
/// be overwritten (a third less traffic on the memory bus), and in four places at once, because the processor fetches
/// ahead within a page only and shared memory has small ones.
/// </summary>
internal static unsafe class StreamingCopy
{
    private const int LineBytes = 64;
    private const int StrideBytes = 4 * LineBytes;
    private const int Places = 4;
    private const int FetchAheadBytes = 1024;

    /// <summary>Below this the caches are the better place.</summary>
    private const int BytesMin = 4096;

    public static void Copy(ReadOnlySpan<byte> from, Span<byte> to)
    {
        if (from.Length < BytesMin || !Vector256.IsHardwareAccelerated)
        {
            from.CopyTo(to);
            return;
        }

        fixed (byte* source = from, target = to)
        {
            var done = (int)(-(nint)target & (LineBytes - 1));
            from[..done].CopyTo(to);
            var part = (from.Length - done) / Places / StrideBytes * StrideBytes;
            for (var at = done; at < done + part; at += StrideBytes)
            {
                for (var place = 0; place < Places; place++)
                    CopyStride(source + at + (place * part), target + at + (place * part));
            }

            done += Places * part;
            from[done..].CopyTo(to[done..]);
        }

        // Such stores are not ordered with others: without this a commit could overtake them.
        if (Sse.IsSupported) Sse.StoreFence();
        else Interlocked.MemoryBarrier();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void CopyStride(byte* source, byte* target)
    {
        if (Sse.IsSupported)
        {
            for (var line = 0; line < StrideBytes; line += LineBytes)
                Sse.Prefetch0(source + FetchAheadBytes + line);
        }

        var a = Vector512.Load(source);
        var b = Vector512.Load(source + LineBytes);
        var c = Vector512.Load(source + (2 * LineBytes));
        var d = Vector512.Load(source + (3 * LineBytes));
        a.StoreAlignedNonTemporal(target);
        b.StoreAlignedNonTemporal(target + LineBytes);
        c.StoreAlignedNonTemporal(target + (2 * LineBytes));
        d.StoreAlignedNonTemporal(target + (3 * LineBytes));
    }
}
