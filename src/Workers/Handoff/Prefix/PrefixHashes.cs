using System.Buffers.Binary;
using Google.Protobuf;
using Krewe.Control.Kv;
using Krewe.Control.Links;

namespace Krewe.Workers;

/// <summary>Prefix hashes as a message carries them: 16 bytes each, little endian.</summary>
internal static class PrefixHashes
{
    public const int BytesEach = 16;

    /// <summary>Most hashes of one fetch: what fits into a message with room to spare.</summary>
    public const int CountMax = 2048;

    public static ByteString Write(ReadOnlySpan<PrefixHash> hashes)
    {
        var bytes = new byte[hashes.Length * BytesEach];
        for (var i = 0; i < hashes.Length; i++)
            BinaryPrimitives.WriteUInt128LittleEndian(bytes.AsSpan(i * BytesEach), hashes[i].Value);
        return ByteString.CopyFrom(bytes);
    }

    /// <exception cref="FrameException">No whole hashes, or too many.</exception>
    public static PrefixHash[] Read(ByteString bytes)
    {
        if (bytes.Length % BytesEach != 0 || bytes.Length / BytesEach > CountMax)
            throw new FrameException($"{bytes.Length} bytes are no list of prefix hashes.");
        var hashes = new PrefixHash[bytes.Length / BytesEach];
        for (var i = 0; i < hashes.Length; i++)
            hashes[i] = new PrefixHash(BinaryPrimitives.ReadUInt128LittleEndian(bytes.Span[(i * BytesEach)..]));
        return hashes;
    }
}
