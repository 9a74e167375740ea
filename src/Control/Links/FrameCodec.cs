using System.Buffers;
using System.Buffers.Binary;
using Google.Protobuf;

namespace Krewe.Control.Links;

/// <summary>
/// Frames of the control link: 4-byte little-endian length, then one Protocol Buffers message of that many bytes
/// (control.proto). Pure: bytes in, messages out; sockets are the caller's.
/// </summary>
public static class FrameCodec
{
    /// <summary>Bytes of the length prefix.</summary>
    public const int PrefixBytes = 4;

    /// <summary>
    /// Largest message. A start of 1 M prompt tokens takes under 4 MiB; a larger length is garbage or another protocol,
    /// and believing it would let one bad peer take the process's memory.
    /// </summary>
    public const int MessageBytesMax = 16 << 20;

    /// <summary>Appends one frame.</summary>
    public static void Write(IBufferWriter<byte> destination, IMessage message)
    {
        var bytes = message.CalculateSize();
        if (bytes > MessageBytesMax)
            throw new FrameException($"A message of {bytes} bytes exceeds the link's limit of {MessageBytesMax}.");
        BinaryPrimitives.WriteUInt32LittleEndian(destination.GetSpan(PrefixBytes), (uint)bytes);
        destination.Advance(PrefixBytes);
        message.WriteTo(destination);
    }

    /// <summary>
    /// Takes the first frame off <paramref name="buffer"/>. False when it is not all there yet; then nothing is taken.
    /// Throws <see cref="FrameException"/> on a length over <see cref="MessageBytesMax"/> or bytes that are no message.
    /// </summary>
    public static bool TryRead<T>(ref ReadOnlySequence<byte> buffer, MessageParser<T> parser, out T? message)
        where T : IMessage<T>
    {
        message = default;
        if (buffer.Length < PrefixBytes) return false;
        Span<byte> prefix = stackalloc byte[PrefixBytes];
        buffer.Slice(0, PrefixBytes).CopyTo(prefix);
        var bytes = BinaryPrimitives.ReadUInt32LittleEndian(prefix);
        if (bytes > MessageBytesMax)
        {
            throw new FrameException($"A frame claims {bytes} bytes; the limit is {MessageBytesMax}. "
                + "The peer does not speak this protocol.");
        }

        if (buffer.Length < PrefixBytes + bytes) return false;
        try
        {
            message = parser.ParseFrom(buffer.Slice(PrefixBytes, bytes));
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new FrameException($"A frame of {bytes} bytes is not a {typeof(T).Name}: {e.Message}", e);
        }

        buffer = buffer.Slice(PrefixBytes + bytes);
        return true;
    }
}
