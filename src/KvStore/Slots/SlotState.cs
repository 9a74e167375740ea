namespace Krewe.KvStore.Slots;

/// <summary>Life of one slot. Says what readers, writers and the allocator may do with its bytes.</summary>
internal enum SlotState : byte
{
    /// <summary>On the free list. Bytes mean nothing.</summary>
    Free,

    /// <summary>One writer owns the bytes; the key cannot be read yet.</summary>
    Writing,

    /// <summary>Readers pin and read; nobody writes. Evictable while no pin is held.</summary>
    Ready,

    /// <summary>The key is gone; pinned readers finish on the old bytes. The last unpin frees the slot.</summary>
    Retiring,

    /// <summary>The medium failed under it. Never allocated again by this process.</summary>
    Bad,
}
