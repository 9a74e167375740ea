using System.Net.Sockets;
using Google.Protobuf;
using Krewe.Abstractions.Wire;
using Krewe.Control.Links;

namespace Krewe.Workers;

/// <summary>
/// A data link on one socket. Payloads go straight between the socket and the KV arena. Cancelling a send or a receive
/// in the middle of a frame leaves the link unusable: the caller closes it.
/// </summary>
internal sealed class TcpDataChannel(Socket socket, int blockBytes) : IDataChannel
{
    private readonly SemaphoreSlim _sending = new(1, 1);
    private readonly byte[] _received = new byte[DataFrame.HeaderBytes + DataFrame.MessageBytesMax];

    public async Task SendAsync(DataMessage message, ReadOnlyMemory<byte> payload, CancellationToken cancellationToken)
    {
        var head = new byte[DataFrame.HeaderBytes + message.CalculateSize()];
        message.WriteTo(head.AsSpan(DataFrame.HeaderBytes));
        DataFrame.Of(head.AsSpan(DataFrame.HeaderBytes), payload.Span).Write(head);
        await _sending.WaitAsync(cancellationToken);
        try
        {
            await SendAllAsync(head, cancellationToken);
            await SendAllAsync(payload, cancellationToken);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            throw new IOException($"The data link broke: {e.Message}", e);
        }
        finally
        {
            _sending.Release();
        }
    }

    public async Task<DataMessage?> ReceiveAsync(PayloadRoom room, CancellationToken cancellationToken)
    {
        var header = _received.AsMemory(0, DataFrame.HeaderBytes);
        if (!await FillAsync(header, mayEnd: true, cancellationToken)) return null;
        var frame = DataFrame.Read(header.Span, blockBytes);
        var bytes = _received.AsMemory(DataFrame.HeaderBytes, frame.MessageBytes);
        await FillAsync(bytes, mayEnd: false, cancellationToken);
        var message = Parse(bytes.Span);
        var payload = frame.PayloadBytes == 0 ? Memory<byte>.Empty : room(message, frame.PayloadBytes);
        await FillAsync(payload, mayEnd: false, cancellationToken);
        frame.Verify(bytes.Span, payload.Span);
        return message;
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
    public void Dispose() => socket.Dispose();

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

    private async Task SendAllAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        while (bytes.Length > 0) bytes = bytes[await socket.SendAsync(bytes, cancellationToken)..];
    }

    private async Task<bool> FillAsync(Memory<byte> bytes, bool mayEnd, CancellationToken cancellationToken)
    {
        try
        {
            for (var filled = 0; filled < bytes.Length;)
            {
                var count = await socket.ReceiveAsync(bytes[filled..], cancellationToken);
                if (count == 0 && filled == 0 && mayEnd) return false;
                if (count == 0) throw new IOException("The data link closed in the middle of a frame.");
                filled += count;
            }

            return true;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            throw new IOException($"The data link broke: {e.Message}", e);
        }
    }
}
