using System.Buffers.Binary;
using System.Globalization;

namespace Krewe.KvStore;

/// <summary>
/// Content name of one full KV block: the 128-bit chained hash over parent, tokens, model, adapter and tenant salt.
/// Equal keys mean equal bytes inside one numerics fingerprint, so an object is never rewritten with other content.
/// </summary>
public readonly record struct BlockKey(ulong High, ulong Low)
{
    /// <summary>Bytes of a key at rest.</summary>
    public const int SizeBytes = 16;

    /// <summary>Reads a key from its 16 bytes, high half first, little endian each.</summary>
    public static BlockKey Read(ReadOnlySpan<byte> source) => new(
        BinaryPrimitives.ReadUInt64LittleEndian(source), BinaryPrimitives.ReadUInt64LittleEndian(source[8..]));

    /// <summary>Writes the key's 16 bytes.</summary>
    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(destination, High);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[8..], Low);
    }

    /// <summary>
    /// The key is a hash already: folding it is enough, and the dictionary stays fast at a million keys.
    /// </summary>
    public override int GetHashCode() => (int)(Low ^ (Low >> 32) ^ High);

    /// <summary>32 hexadecimal digits.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{High:x16}{Low:x16}");
}
