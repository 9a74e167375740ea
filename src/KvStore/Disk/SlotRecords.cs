namespace Krewe.KvStore.Disk;

/// <summary>
/// What the headers say, in memory, so that a read touches the body alone: checksums of each slot's layers and its
/// generation. Written only by the slot's one writer or before the store opens; 12 bytes and 4 a layer for each slot.
/// </summary>
internal sealed class SlotRecords(int slots, int layers)
{
    private readonly uint[] _checksums = new uint[checked(slots * layers)];
    private readonly ulong[] _generations = new ulong[slots];
    private readonly bool[] _headerOnDisk = new bool[slots];

    public Span<uint> LayerChecksums(int slot) => _checksums.AsSpan(slot * layers, layers);

    public ref ulong Generation(int slot) => ref _generations[slot];

    /// <summary>
    /// True when the slot's header page on disk may be valid, so that it must be cleared before a new body.
    /// </summary>
    public ref bool HeaderOnDisk(int slot) => ref _headerOnDisk[slot];
}
