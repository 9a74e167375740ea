using Krewe.Abstractions.Wire;

namespace Krewe.Workers;

/// <summary>
/// The holder's end of a link whose peer has mapped the holder's memory: a payload is sent as its place, and the peer
/// copies it out itself. Nothing waits for the peer: the fence tells it when its copies are void.
/// </summary>
internal sealed class SharedHolderChannel(FrameSocket frames, IKvArena arena, SharedMemory.Fence fence) : IDataChannel
{
    private readonly TcpDataChannel _messages = new(frames, arena);

    private readonly IDeviceKvArena? _device = arena as IDeviceKvArena;

    public string Kind => _device is null ? "shared memory" : "CUDA IPC";

    public int PieceBytes => HandoffLimits.SharedPieceBytes;

    public Task SendAsync(
        DataMessage message, ReadOnlyMemory<BlockSlice> payload, CancellationToken cancellationToken)
    {
        if (payload.IsEmpty) return frames.SendAsync(message, [], cancellationToken);
        // A layer is announced when its kernel is queued, and the peer's stream knows nothing of ours.
        _device?.WaitUntilStored(payload.Span);
        return frames.SendAsync(
            message, [SliceList.Write(payload.Span, arena.Geometry.BlockBytes)], cancellationToken);
    }

    public Task<DataMessage?> ReceiveAsync(PayloadRoom room, CancellationToken cancellationToken) =>
        _messages.ReceiveAsync(room, cancellationToken);

    public void Revoke() => fence.Lower();

    public void FinishSending() => frames.FinishSending();

    public void Dispose()
    {
        fence.Return();
        frames.Dispose();
    }
}
