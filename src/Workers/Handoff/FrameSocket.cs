using System.Net.Sockets;
using Google.Protobuf;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Control.Links;

namespace Krewe.Workers;

/// <summary>A frame's message, whose payload is still on the socket.</summary>
/// <param name="Checksum">CRC-32C of the message: the payload's goes on from it.</param>
internal readonly record struct FrameHead(DataMessage Message, DataFrame Frame, uint Checksum)
{
    public int PayloadBytes => Frame.PayloadBytes;
}

/// <summary>
/// Frames of the data link on one socket. Cancelling a send or a receive in the middle of a frame leaves the link
/// unusable: the caller closes it.
/// </summary>
/// <param name="socket">The connection; owned.</param>
/// <param name="secured">TLS on it; null: plain.</param>
internal sealed class FrameSocket(Socket socket, Stream? secured = null) : IDisposable
{
    private readonly SemaphoreSlim _sending = new(1, 1);
    private readonly VectoredSocket? _plain = secured is null ? new VectoredSocket(socket) : null;
    private readonly byte[] _received = new byte[DataFrame.HeaderBytes + DataFrame.MessageBytesMax];

    /// <summary>
    /// Sends a message and a payload that lies in these parts. Calls that follow each other are sent in that order. The
    /// checksum is computed here and not on another thread: it fetches into this core's cache what the send reads next,
    /// and waking a thread costs as much.
    /// </summary>
    public async Task SendAsync(DataMessage message, List<Memory<byte>> payload, CancellationToken cancellationToken)
    {
        var parts = Frame(message, payload);
        await _sending.WaitAsync(cancellationToken);
        try
        {
            await (_plain?.SendAllAsync(parts, cancellationToken) ?? secured!.SendAllAsync(parts, cancellationToken));
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            throw Broken(e);
        }
        finally
        {
            _sending.Release();
        }
    }

    /// <summary>
    /// The next message, verified when it has no payload; null when the peer closed between two frames. A payload must
    /// be taken with <see cref="FillAsync(FrameHead, List{Memory{byte}}, CancellationToken)"/> before the next.
    /// </summary>
    public async Task<FrameHead?> ReceiveAsync(CancellationToken cancellationToken)
    {
        var header = _received.AsMemory(0, DataFrame.HeaderBytes);
        if (!await FillAsync([header], arrived: null, cancellationToken)) return null;
        var frame = DataFrame.Read(header.Span, HandoffLimits.PayloadBytesMax);
        var bytes = _received.AsMemory(DataFrame.HeaderBytes, frame.MessageBytes);
        if (bytes.Length > 0) await DemandAsync([bytes], arrived: null, cancellationToken);
        var head = new FrameHead(Parse(bytes.Span), frame, Crc32C.Compute(bytes.Span));
        if (frame.PayloadBytes == 0) frame.Verify(head.Checksum);
        return head;
    }

    /// <summary>
    /// Receives the payload into these parts, which have its length, and verifies message and payload.
    /// </summary>
    public async Task FillAsync(FrameHead head, List<Memory<byte>> parts, CancellationToken cancellationToken)
    {
        var checksum = head.Checksum;
        await DemandAsync(parts, Check, cancellationToken);
        head.Frame.Verify(checksum);

        // While the bytes are still in the processor's cache.
        void Check(PartCursor from, int bytes)
        {
            while (bytes > 0)
            {
                var span = from.Current.Span;
                if (span.Length > bytes) span = span[..bytes];
                checksum = Crc32C.Compute(span, checksum);
                bytes -= span.Length;
                from = from.Past(span.Length);
            }
        }
    }

    public void FinishSending()
    {
        try
        {
            socket.Shutdown(SocketShutdown.Send);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The peer was faster in closing: there is nothing left to finish.
            socket.Dispose();
        }
    }

    // Not the semaphore: a send that the closing broke still gives it back.
    public void Dispose()
    {
        // The socket first: a secured stream would say goodbye, and wait for a peer that may not read.
        socket.Dispose();
        _plain?.Dispose();
        secured?.Dispose();
    }

    private async Task DemandAsync(
        List<Memory<byte>> parts, Action<PartCursor, int>? arrived, CancellationToken cancellationToken)
    {
        if (!await FillAsync(parts, arrived, cancellationToken))
            throw new IOException("The data link closed in the middle of a frame.");
    }

    private async Task<bool> FillAsync(
        List<Memory<byte>> parts, Action<PartCursor, int>? arrived, CancellationToken cancellationToken)
    {
        try
        {
            return await (_plain?.FillAsync(parts, arrived, cancellationToken)
                ?? secured!.FillAsync(parts, arrived, cancellationToken));
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            throw Broken(e);
        }
    }

    private static List<Memory<byte>> Frame(DataMessage message, List<Memory<byte>> payload)
    {
        var head = new byte[DataFrame.HeaderBytes + message.CalculateSize()];
        var body = head.AsMemory(DataFrame.HeaderBytes);
        message.WriteTo(body.Span);
        var (checksum, bytes) = (Crc32C.Compute(body.Span), 0);
        foreach (var part in payload)
        {
            checksum = Crc32C.Compute(part.Span, checksum);
            bytes = checked(bytes + part.Length);
        }

        new DataFrame(body.Length, bytes, checksum).Write(head);
        return [head, .. payload];
    }

    private static IOException Broken(Exception e) => new($"The data link broke: {e.Message}", e);

    private static DataMessage Parse(ReadOnlySpan<byte> bytes)
    {
        try
        {
            return DataMessage.Parser.ParseFrom(bytes);
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new FrameException($"A data frame holds no DataMessage: {e.Message}", e);
        }
    }
}
