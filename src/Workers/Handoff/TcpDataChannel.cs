using Krewe.Abstractions.Wire;
using Krewe.Control.Links;

namespace Krewe.Workers;

/// <summary>
/// Payloads on the link's own socket: straight out of this worker's arena and straight into the peer's, many slices a
/// system call, each payload under one CRC-32C.
/// </summary>
internal sealed class TcpDataChannel(FrameSocket frames, IKvArena arena) : IDataChannel
{
    public string Kind => "TCP";

    public int PieceBytes => HandoffLimits.PieceBytes;

    public Task SendAsync(
        DataMessage message, ReadOnlyMemory<BlockSlice> payload, CancellationToken cancellationToken) =>
        frames.SendAsync(
            message, ArenaParts.InPlace(arena, payload.Span) ?? [ArenaParts.CopyOut(arena, payload.Span)],
            cancellationToken);

    public async Task<DataMessage?> ReceiveAsync(PayloadRoom room, CancellationToken cancellationToken)
    {
        if (await frames.ReceiveAsync(cancellationToken) is not { } head) return null;
        if (head.PayloadBytes == 0) return head.Message;
        var slices = room(head.Message, head.PayloadBytes);
        if (ArenaParts.LengthOf(slices.Span) != head.PayloadBytes)
            throw new FrameException($"{head.Message.BodyCase} with {head.PayloadBytes} bytes of payload.");
        if (ArenaParts.InPlace(arena, slices.Span) is { } parts)
        {
            await frames.FillAsync(head, parts, cancellationToken);
            return head.Message;
        }

        var staging = new byte[head.PayloadBytes];
        await frames.FillAsync(head, [staging], cancellationToken);
        ArenaParts.CopyIn(arena, slices.Span, staging);
        return head.Message;
    }

    // What was handed to the socket is the kernel's copy: the peer reads no block of ours.
    public void Revoke()
    {
    }

    public void FinishSending() => frames.FinishSending();

    public void Dispose() => frames.Dispose();
}
