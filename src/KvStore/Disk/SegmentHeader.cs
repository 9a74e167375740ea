using System.Buffers.Binary;
using System.Text;
using Krewe.Abstractions;

namespace Krewe.KvStore.Disk;

/// <summary>
/// First page of a segment file. It only guards against opening a segment with other settings: what an object is, its
/// own header says.
/// <code>0 magic u64 | 8 version u32 | 12 CRC-32C | 16 fingerprint u64 | 24 segment u32 | 28 slots u32
/// 32 body bytes u32 | 36 segments u32 | 40 format length u32 | 44 format, UTF-8</code>
/// </summary>
internal readonly record struct SegmentHeader(
    ulong Fingerprint, int Segment, int Slots, int BodyBytes, int Segments, string Format)
{
    private const ulong Magic = 0x4745_5345_5745_524B; // "KREWESEG"
    private const uint Version = 1;
    private const int CrcOffset = 12;
    private const int FormatOffset = 44;
    private const int FormatBytesMax = 1024;

    public static SegmentHeader For(SegmentLayout layout, int segment) => new(
        layout.Fingerprint, segment, layout.SlotsPerSegment, layout.BodyBytes, layout.Segments, layout.Format);

    public void Write(Span<byte> page)
    {
        page.Clear();
        BinaryPrimitives.WriteUInt64LittleEndian(page, Magic);
        BinaryPrimitives.WriteUInt32LittleEndian(page[8..], Version);
        BinaryPrimitives.WriteUInt64LittleEndian(page[16..], Fingerprint);
        BinaryPrimitives.WriteInt32LittleEndian(page[24..], Segment);
        BinaryPrimitives.WriteInt32LittleEndian(page[28..], Slots);
        BinaryPrimitives.WriteInt32LittleEndian(page[32..], BodyBytes);
        BinaryPrimitives.WriteInt32LittleEndian(page[36..], Segments);
        var format = Encoding.UTF8.GetBytes(Format);
        format = format[..Math.Min(format.Length, FormatBytesMax)];
        BinaryPrimitives.WriteInt32LittleEndian(page[40..], format.Length);
        format.CopyTo(page[FormatOffset..]);
        BinaryPrimitives.WriteUInt32LittleEndian(page[CrcOffset..], Crc32C.Compute(page));
    }

    /// <summary>Reads a page; its checksum field is zeroed on the way.</summary>
    public static HeaderState Read(Span<byte> page, out SegmentHeader header)
    {
        header = default;
        if (!page.ContainsAnyExcept((byte)0)) return HeaderState.Empty;
        var stored = BinaryPrimitives.ReadUInt32LittleEndian(page[CrcOffset..]);
        BinaryPrimitives.WriteUInt32LittleEndian(page[CrcOffset..], 0);
        if (stored != Crc32C.Compute(page)
            || BinaryPrimitives.ReadUInt64LittleEndian(page) != Magic
            || BinaryPrimitives.ReadUInt32LittleEndian(page[8..]) != Version)
            return HeaderState.Torn;
        var formatBytes = Math.Clamp(BinaryPrimitives.ReadInt32LittleEndian(page[40..]), 0, FormatBytesMax);
        header = new SegmentHeader(
            BinaryPrimitives.ReadUInt64LittleEndian(page[16..]),
            BinaryPrimitives.ReadInt32LittleEndian(page[24..]),
            BinaryPrimitives.ReadInt32LittleEndian(page[28..]),
            BinaryPrimitives.ReadInt32LittleEndian(page[32..]),
            BinaryPrimitives.ReadInt32LittleEndian(page[36..]),
            Encoding.UTF8.GetString(page.Slice(FormatOffset, formatBytes)));
        return HeaderState.Valid;
    }
}
