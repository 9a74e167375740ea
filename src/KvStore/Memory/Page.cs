namespace Krewe.KvStore.Memory;

/// <summary>The unit of direct I/O: addresses, file offsets and lengths are multiples of it.</summary>
internal static class Page
{
    public const int Bytes = 4096;

    public static long RoundUp(long value) => (value + Bytes - 1) & -Bytes;

    public static long RoundDown(long value) => value & -Bytes;

    public static bool IsAligned(long value) => (value & (Bytes - 1)) == 0;
}
