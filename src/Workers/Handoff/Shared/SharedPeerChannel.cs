using Krewe.Abstractions.Wire;
using Krewe.Control.Links;

namespace Krewe.Workers;

/// <summary>
/// The peer's end of a link to a holder of the same host: payloads are copied straight out of the holder's arena into
/// this worker's, once. A copy counts only if the holder's fence still stands afterwards.
/// </summary>
internal sealed class SharedPeerChannel(
    FrameSocket frames, IKvArena arena, PeerMemories.Hold hold, int fenceSlot, ulong fenceGeneration) : IDataChannel
{
    private readonly TcpDataChannel _messages = new(frames, arena);

    public string Kind => hold.Device is null ? "shared memory" : "CUDA IPC";

    public int PieceBytes => _messages.PieceBytes;

    public Task SendAsync(
        DataMessage message, ReadOnlyMemory<BlockSlice> payload, CancellationToken cancellationToken) =>
        _messages.SendAsync(message, payload, cancellationToken);

    public async Task<DataMessage?> ReceiveAsync(PayloadRoom room, CancellationToken cancellationToken)
    {
        if (await frames.ReceiveAsync(cancellationToken) is not { } head) return null;
        if (head.PayloadBytes == 0) return head.Message;
        if (head.PayloadBytes > HandoffLimits.SliceListBytesMax)
            throw new FrameException($"A list of slices of {head.PayloadBytes} bytes.");
        var list = new byte[head.PayloadBytes];
        await frames.FillAsync(head, [list], cancellationToken);
        CopyIn(list, room(head.Message, SliceList.TotalBytes(list)).Span);
        return head.Message;
    }

    // This end sends its own payloads over the socket: nothing of its memory was shown to anybody.
    public void Revoke() => _messages.Revoke();

    public void FinishSending() => frames.FinishSending();

    public void Dispose()
    {
        frames.Dispose();
        hold.Dispose();
    }

    private void CopyIn(ReadOnlySpan<byte> list, ReadOnlySpan<BlockSlice> room)
    {
        if (SliceList.Count(list) != room.Length)
            throw new FrameException($"{SliceList.Count(list)} slices for a place of {room.Length}.");
        if (hold.Device is { } device) device.CopyIn(list, room);
        else CopyFromHost(list, room);
        if (!hold.Memory.Stands(fenceSlot, fenceGeneration))
            throw new IOException("The holder took its blocks back while they were copied.");
    }

    private void CopyFromHost(ReadOnlySpan<byte> list, ReadOnlySpan<BlockSlice> room)
    {
        for (var i = 0; i < room.Length; i++)
        {
            var (offset, length) = SliceList.Read(list, i);
            if (length != room[i].Length) throw new FrameException($"{length} bytes for a slice of {room[i].Length}.");
            var bytes = hold.Memory.Slice(offset, length);
            if (arena.TryGetMemory(room[i].Block, out var block))
                StreamingCopy.Copy(bytes, block.Span.Slice(room[i].Start, length));
            else arena.CopyIn(room[i].Block, room[i].Start, bytes);
        }
    }
}
