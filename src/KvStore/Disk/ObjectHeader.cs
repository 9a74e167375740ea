using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Krewe.Abstractions;
using Krewe.KvStore.Memory;

namespace Krewe.KvStore.Disk;

/// <summary>What a header page turned out to be.</summary>
internal enum HeaderState
{
    /// <summary>All zero: never written, or cleared.</summary>
    Empty,

    /// <summary>Whole and of this version.</summary>
    Valid,

    /// <summary>Neither: half written or flipped.</summary>
    Torn,
}

/// <summary>
/// One object's header page: 4 KiB, little endian, zero to its end so that the checksum covers every bit of the page.
/// <code>
///   0 magic u64 | 8 version u32 | 12 CRC-32C of the page with this field zero | 16 key 16 bytes | 32 fingerprint u64
///  40 generation u64 | 48 payload bytes u64 | 56 segment u32 | 60 slot u32 | 64 layers u32 | 68 recompute seconds f32
/// 128 CRC-32C of each layer u32 [layers]
/// </code>
/// The body has one checksum a layer, since layers are read and used one by one.
/// </summary>
/// <param name="Segment">Where the header was written: a header found elsewhere is another slot's.</param>
internal readonly record struct ObjectHeader(
    BlockKey Key, ulong Fingerprint, ulong Generation, ulong PayloadBytes, uint Segment, uint Slot, uint Layers,
    float RecomputeSeconds)
{
    public const int LayersMax = (Page.Bytes - ChecksumsOffset) / sizeof(uint);

    private const ulong Magic = 0x3156_4B45_5745_524B; // "KREWEKV1"
    private const uint Version = 1;
    private const int CrcOffset = 12;
    private const int ChecksumsOffset = 128;

    /// <summary>Fills <paramref name="page"/> with this header and the layers' checksums.</summary>
    public void Write(Span<byte> page, ReadOnlySpan<uint> layerChecksums)
    {
        page.Clear();
        BinaryPrimitives.WriteUInt64LittleEndian(page, Magic);
        BinaryPrimitives.WriteUInt32LittleEndian(page[8..], Version);
        Key.Write(page[16..]);
        BinaryPrimitives.WriteUInt64LittleEndian(page[32..], Fingerprint);
        BinaryPrimitives.WriteUInt64LittleEndian(page[40..], Generation);
        BinaryPrimitives.WriteUInt64LittleEndian(page[48..], PayloadBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(page[56..], Segment);
        BinaryPrimitives.WriteUInt32LittleEndian(page[60..], Slot);
        BinaryPrimitives.WriteUInt32LittleEndian(page[64..], Layers);
        BinaryPrimitives.WriteSingleLittleEndian(page[68..], RecomputeSeconds);
        layerChecksums.CopyTo(LayerChecksums(page, layerChecksums.Length));
        BinaryPrimitives.WriteUInt32LittleEndian(page[CrcOffset..], Crc32C.Compute(page));
    }

    /// <summary>Reads a page. Its checksum field is zeroed on the way.</summary>
    public static HeaderState Read(Span<byte> page, out ObjectHeader header)
    {
        header = default;
        if (!page.ContainsAnyExcept((byte)0)) return HeaderState.Empty;
        var stored = BinaryPrimitives.ReadUInt32LittleEndian(page[CrcOffset..]);
        BinaryPrimitives.WriteUInt32LittleEndian(page[CrcOffset..], 0);
        if (stored != Crc32C.Compute(page)) return HeaderState.Torn;
        if (BinaryPrimitives.ReadUInt64LittleEndian(page) != Magic
            || BinaryPrimitives.ReadUInt32LittleEndian(page[8..]) != Version)
            return HeaderState.Torn;
        header = new ObjectHeader(
            BlockKey.Read(page[16..]),
            BinaryPrimitives.ReadUInt64LittleEndian(page[32..]),
            BinaryPrimitives.ReadUInt64LittleEndian(page[40..]),
            BinaryPrimitives.ReadUInt64LittleEndian(page[48..]),
            BinaryPrimitives.ReadUInt32LittleEndian(page[56..]),
            BinaryPrimitives.ReadUInt32LittleEndian(page[60..]),
            BinaryPrimitives.ReadUInt32LittleEndian(page[64..]),
            BinaryPrimitives.ReadSingleLittleEndian(page[68..]));
        return HeaderState.Valid;
    }

    /// <summary>
    /// The layers' checksums inside the page. The store runs on little-endian machines only, as .NET does.
    /// </summary>
    public static Span<uint> LayerChecksums(Span<byte> page, int layers) =>
        MemoryMarshal.Cast<byte, uint>(page.Slice(ChecksumsOffset, layers * sizeof(uint)));
}
