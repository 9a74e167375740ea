using System.Buffers.Binary;
using Krewe.Abstractions;

namespace Krewe.Control.Links;

/// <summary>
/// Head of a frame on the data link, 20 bytes little-endian: magic "KRWD", message bytes, payload bytes, CRC-32C over
/// message and payload, reserved 0. The message (data.proto) and the payload (slices of KV blocks or nothing) follow.
/// </summary>
/// <param name="MessageBytes">Bytes of the DataMessage.</param>
/// <param name="PayloadBytes">Raw bytes after it.</param>
/// <param name="Checksum">CRC-32C of both, in that order.</param>
public readonly record struct DataFrame(int MessageBytes, int PayloadBytes, uint Checksum)
{
    public const int HeaderBytes = 20;

    /// <summary>Largest DataMessage: all of them are a handful of fields.</summary>
    public const int MessageBytesMax = 64 << 10;

    /// <summary>"KRWD" read as a little-endian number.</summary>
    private const uint Magic = 0x4457524B;

    /// <summary>The head of a frame with this message and payload.</summary>
    public static DataFrame Of(ReadOnlySpan<byte> message, ReadOnlySpan<byte> payload) =>
        new(message.Length, payload.Length, Crc32C.Compute(payload, Crc32C.Compute(message)));

    /// <summary>
    /// Writes the head into the first <see cref="HeaderBytes"/> bytes of <paramref name="destination"/>.
    /// </summary>
    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(destination, Magic);
        BinaryPrimitives.WriteInt32LittleEndian(destination[4..], MessageBytes);
        BinaryPrimitives.WriteInt32LittleEndian(destination[8..], PayloadBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[12..], Checksum);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[16..], 0);
    }

    /// <summary>
    /// Reads a head. <paramref name="payloadBytesMax"/> is the most that any payload has. Throws
    /// <see cref="FrameException"/> on another magic, a size over its limit, or reserved bits that are set.
    /// </summary>
    public static DataFrame Read(ReadOnlySpan<byte> source, int payloadBytesMax)
    {
        var magic = BinaryPrimitives.ReadUInt32LittleEndian(source);
        if (magic != Magic) throw new FrameException($"A data frame starts with {magic:X8} instead of {Magic:X8}.");
        var message = BinaryPrimitives.ReadUInt32LittleEndian(source[4..]);
        var payload = BinaryPrimitives.ReadUInt32LittleEndian(source[8..]);
        if (message > MessageBytesMax)
            throw new FrameException($"A data message claims {message} bytes; the limit is {MessageBytesMax}.");
        if (payload > payloadBytesMax)
            throw new FrameException($"A data payload claims {payload} bytes; at most {payloadBytesMax} are expected.");
        if (BinaryPrimitives.ReadUInt32LittleEndian(source[16..]) != 0)
            throw new FrameException("A data frame's reserved field is not 0; the peer speaks a newer protocol.");
        return new DataFrame((int)message, (int)payload, BinaryPrimitives.ReadUInt32LittleEndian(source[12..]));
    }

    /// <summary>
    /// Throws <see cref="FrameException"/> when message and payload do not have this head's checksum.
    /// </summary>
    public void Verify(ReadOnlySpan<byte> message, ReadOnlySpan<byte> payload) =>
        Verify(Of(message, payload).Checksum);

    /// <summary>The same, of a CRC-32C that was computed while the bytes arrived.</summary>
    public void Verify(uint actual)
    {
        if (actual != Checksum)
        {
            throw new FrameException(
                $"A data frame's CRC-32C is {actual:X8} instead of {Checksum:X8}: bytes were damaged.");
        }
    }
}
