using Krewe.KvStore.Slots;

namespace Krewe.KvStore.Host;

/// <summary>A hold on one block in host memory: its bytes stay as they are until the hold ends.</summary>
public sealed class HostHold : IDisposable
{
    private readonly SlotIndex _index;
    private readonly int _slot;
    private bool _released;

    internal HostHold(SlotIndex index, int slot, ReadOnlyMemory<byte> memory)
    {
        _index = index;
        _slot = slot;
        Memory = memory;
    }

    /// <summary>The block's bytes, page-aligned.</summary>
    public ReadOnlyMemory<byte> Memory { get; }

    public void Dispose()
    {
        if (_released) return;
        _released = true;
        _index.Unpin(_slot);
    }
}
