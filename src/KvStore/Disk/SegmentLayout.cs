using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Krewe.KvStore.Memory;

namespace Krewe.KvStore.Disk;

/// <summary>
/// Where things lie. A segment file is
/// <code>[segment header 4 KiB][object headers, 4 KiB a slot][bodies, whole pages a slot: layer 0 .. layer n-1]</code>
/// Headers lie together so that the index is rebuilt by sequential reads: a million of them are 4 GB in a row, where
/// headers beside their bodies would be a million seeks.
/// </summary>
internal sealed record SegmentLayout
{
    public SegmentLayout(SsdStoreOptions options)
    {
        Layers = options.Geometry.Layers;
        LayerBytes = options.Geometry.LayerBytes;
        BodyBytes = (int)Page.RoundUp(options.Geometry.BlockBytes);
        var directories = options.Directories.Count;
        // Equal segments that use the capacity up: none is larger than asked, each directory has one.
        var segments = (options.CapacityBytes + options.SegmentBytes - 1) / options.SegmentBytes;
        Segments = (int)Math.Max(directories, segments);
        var segmentBytes = options.CapacityBytes / Segments;
        SlotsPerSegment = (int)((segmentBytes - Page.Bytes) / (Page.Bytes + BodyBytes));
        Format = $"{options.Geometry}; {options.Numerics}{(options.Model.Length > 0 ? $"; {options.Model}" : "")}";
        Fingerprint = BinaryPrimitives.ReadUInt64LittleEndian(SHA256.HashData(Encoding.UTF8.GetBytes(Format)));
    }

    public int Layers { get; }

    public int LayerBytes { get; }

    public int PayloadBytes => Layers * LayerBytes;

    /// <summary>Bytes between two bodies: the payload in whole pages.</summary>
    public int BodyBytes { get; }

    public int Segments { get; private init; }

    public int SlotsPerSegment { get; private init; }

    public int Slots => checked(Segments * SlotsPerSegment);

    public long FileBytes => Page.Bytes + (long)SlotsPerSegment * (Page.Bytes + BodyBytes);

    /// <summary>Geometry and numerics in words, for messages.</summary>
    public string Format { get; }

    /// <summary>Hash of <see cref="Format"/>; stands in every header.</summary>
    public ulong Fingerprint { get; }

    /// <summary>The same format in a store of another size.</summary>
    public SegmentLayout Like(int segments, int slotsPerSegment) =>
        this with { Segments = segments, SlotsPerSegment = slotsPerSegment };

    /// <summary>Neighbouring slots lie in different segments, and so on different disks.</summary>
    public (int Segment, int Index) Locate(int slot) => (slot % Segments, slot / Segments);

    public int SlotAt(int segment, int index) => index * Segments + segment;

    public static long HeaderOffset(int index) => (1L + index) * Page.Bytes;

    public long BodyOffset(int index) => (1L + SlotsPerSegment) * Page.Bytes + (long)index * BodyBytes;
}
