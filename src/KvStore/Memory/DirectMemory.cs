using System.Buffers;
using System.Runtime.InteropServices;

namespace Krewe.KvStore.Memory;

/// <summary>Tells whether direct I/O can use memory as it is.</summary>
internal static class DirectMemory
{
    /// <summary>
    /// True for whole pages of native memory. An array never counts: the collector may move it between the question and
    /// the I/O, and with it the alignment.
    /// </summary>
    public static unsafe bool IsUsable(ReadOnlyMemory<byte> memory)
    {
        if (!Page.IsAligned(memory.Length)
            || !MemoryMarshal.TryGetMemoryManager<byte, MemoryManager<byte>>(memory, out _))
            return false;
        using var handle = memory.Pin();
        return Page.IsAligned((nint)handle.Pointer);
    }
}
