using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Krewe.Workers;

/// <summary>
/// Copies KV that nobody reads soon: written past the caches, so that the target's lines are not fetched first only to
/// be overwritten. That is a third less traffic on the memory bus.
/// </summary>
internal static unsafe class StreamingCopy
{
    private const int LineBytes = 64;
    private const int StrideBytes = 4 * LineBytes;

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
            for (; done + StrideBytes <= from.Length; done += StrideBytes)
            {
                var (s, t) = (source + done, target + done);
                var a = Vector512.Load(s);
                var b = Vector512.Load(s + LineBytes);
                var c = Vector512.Load(s + (2 * LineBytes));
                var d = Vector512.Load(s + (3 * LineBytes));
                a.StoreAlignedNonTemporal(t);
                b.StoreAlignedNonTemporal(t + LineBytes);
                c.StoreAlignedNonTemporal(t + (2 * LineBytes));
                d.StoreAlignedNonTemporal(t + (3 * LineBytes));
            }

            from[done..].CopyTo(to[done..]);
        }

        // Such stores are not ordered with others: without this a commit could overtake them.
        if (Sse.IsSupported) Sse.StoreFence();
        else Interlocked.MemoryBarrier();
    }
}
