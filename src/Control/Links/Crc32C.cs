using System.Buffers.Binary;
using System.Numerics;

namespace Krewe.Control.Links;

/// <summary>
/// CRC-32C (Castagnoli; RFC 3720 appendix B.4): the check value of "123456789" is E3069283. Uses the processor's CRC
/// instruction, eight bytes at a time, where it has one.
/// </summary>
public static class Crc32C
{
    /// <summary>The checksum of nothing: where <see cref="Append"/> starts.</summary>
    public const uint Empty = 0;

    public static uint Compute(ReadOnlySpan<byte> bytes) => Append(Empty, bytes);

    /// <summary>Goes on from the checksum of what came before <paramref name="bytes"/>.</summary>
    public static uint Append(uint checksum, ReadOnlySpan<byte> bytes)
    {
        // BitOperations works on the raw register; the standard inverts it before and after.
        var register = ~checksum;
        while (bytes.Length >= sizeof(ulong))
        {
            register = BitOperations.Crc32C(register, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
            bytes = bytes[sizeof(ulong)..];
        }

        foreach (var value in bytes) register = BitOperations.Crc32C(register, value);
        return ~register;
    }
}
