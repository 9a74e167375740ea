using System.Runtime.ExceptionServices;
using Krewe.Abstractions.Wire;
using Krewe.Control.Links;

namespace Krewe.Workers;

/// <summary>
/// Payloads on the link's own sockets: straight out of this worker's arena and straight into the peer's, many slices a
/// system call, each payload under CRC-32C. With several connections each carries its part of a payload, sent and
/// received by a thread of its own; messages travel on the first.
/// </summary>
/// <param name="frames">The link's first connection; owned.</param>
/// <param name="lanes">Its further ones, in the same order on both sides; owned.</param>
internal sealed class TcpDataChannel(FrameSocket frames, IKvArena arena, params FrameSocket[] lanes) : IDataChannel
{
    public string Kind => lanes.Length == 0 ? "TCP" : $"TCP, {lanes.Length + 1} connections";

    public int PieceBytes => lanes.Length == 0
        ? HandoffLimits.PieceBytes
        : (lanes.Length + 1) * HandoffLimits.LanePieceBytes;

    /// <summary>Payloads come from one task: the lanes' order is the messages' order.</summary>
    public Task SendAsync(
        DataMessage message, ReadOnlyMemory<BlockSlice> payload, CancellationToken cancellationToken)
    {
        var parts = ArenaParts.InPlace(arena, payload.Span) ?? [ArenaParts.CopyOut(arena, payload.Span)];
        if (lanes.Length == 0 || payload.IsEmpty) return frames.SendAsync(message, parts, cancellationToken);
        var total = ArenaParts.LengthOf(payload.Span);
        var cuts = PayloadCut.Of(parts, total, lanes.Length + 1);
        message.PayloadBytes = (uint)total;
        return TogetherAsync(
            () => frames.SendAsync(message, cuts[0], cancellationToken),
            lane => lanes[lane].SendAsync(message, cuts[lane + 1], cancellationToken));
    }

    public async Task<DataMessage?> ReceiveAsync(PayloadRoom room, CancellationToken cancellationToken)
    {
        if (await frames.ReceiveAsync(cancellationToken) is not { } head) return null;
        var total = head.PayloadBytes;
        if (head.Message.PayloadBytes > 0) total = Cut(head.Message);
        if (total == 0) return head.Message;
        var slices = room(head.Message, total);
        if (ArenaParts.LengthOf(slices.Span) != total)
            throw new FrameException($"{head.Message.BodyCase} with {total} bytes of payload.");
        if (ArenaParts.InPlace(arena, slices.Span) is { } parts)
        {
            await FillAsync(head, parts, total, cancellationToken);
            return head.Message;
        }

        var staging = new byte[total];
        await FillAsync(head, [staging], total, cancellationToken);
        ArenaParts.CopyIn(arena, slices.Span, staging);
        return head.Message;
    }

    // What was handed to the socket is the kernel's copy: the peer reads no block of ours.
    public void Revoke()
    {
    }

    public void FinishSending() => frames.FinishSending();

    public void Dispose()
    {
        frames.Dispose();
        foreach (var lane in lanes) lane.Dispose();
    }

    /// <summary>Bytes of a payload that comes in parts.</summary>
    private int Cut(DataMessage message) =>
        lanes.Length > 0 && message.PayloadBytes <= HandoffLimits.PayloadBytesMax
            ? (int)message.PayloadBytes
            : throw new FrameException(
                $"{message.BodyCase} with {message.PayloadBytes} bytes over {lanes.Length + 1} connections.");

    private Task FillAsync(FrameHead head, List<Memory<byte>> parts, int total, CancellationToken cancellationToken)
    {
        if (head.Message.PayloadBytes == 0) return frames.FillAsync(head, parts, cancellationToken);
        var cuts = PayloadCut.Of(parts, total, lanes.Length + 1);
        Demand(head, head.Message, cuts[0]);
        return TogetherAsync(
            () => frames.FillAsync(head, cuts[0], cancellationToken),
            lane => FillLaneAsync(lanes[lane], head.Message, cuts[lane + 1], cancellationToken));
    }

    private static async Task FillLaneAsync(
        FrameSocket lane, DataMessage message, List<Memory<byte>> parts, CancellationToken cancellationToken)
    {
        var head = await lane.ReceiveAsync(cancellationToken)
            ?? throw new IOException("A connection of the data link closed.");
        Demand(head, message, parts);
        await lane.FillAsync(head, parts, cancellationToken);
    }

    /// <summary>Each part names its payload: one that comes twice or late is never taken for another's.</summary>
    private static void Demand(FrameHead head, DataMessage message, List<Memory<byte>> parts)
    {
        if (!head.Message.Equals(message) || head.PayloadBytes != parts.Sum(part => part.Length))
            throw new FrameException($"{head.Message} with {head.PayloadBytes} bytes came as a part of {message}.");
    }

    /// <summary>
    /// Runs the first connection's work here and the others' beside it. The first failure ends them all: when this
    /// returns nobody reads or writes the payload.
    /// </summary>
    private async Task TogetherAsync(Func<Task> first, Func<int, Task> other)
    {
        Exception? failure = null;
        var work = new Task[lanes.Length + 1];
        for (var lane = 0; lane < lanes.Length; lane++)
        {
            var number = lane;
            work[lane] = Task.Run(() => GuardAsync(() => other(number)));
        }

        work[^1] = GuardAsync(first);
        await Task.WhenAll(work);
        if (failure is not null) ExceptionDispatchInfo.Throw(failure);

        async Task GuardAsync(Func<Task> part)
        {
            try
            {
                await part();
            }
            catch (Exception e) when (e is IOException or FrameException or OperationCanceledException)
            {
                // The later ones only tell that the link was cut under them.
                if (Interlocked.CompareExchange(ref failure, e, null) is null) Dispose();
            }
        }
    }
}
