using Krewe.Abstractions.Wire;

namespace Krewe.Workers;

/// <summary>
/// How blocks travel between workers. Everything above speaks in DataMessages, with a payload that is named by its
/// place in the KV arena on both sides; whether the bytes cross a socket, shared memory or a wire of their own is the
/// transport's business. So RDMA or CUDA IPC can be added beside what is here.
/// </summary>
internal interface IBlockTransport
{
    /// <summary>
    /// Opens a channel to a worker that holds blocks. Throws <see cref="IOException"/> when nobody listens.
    /// </summary>
    /// <param name="bytes">How much is expected to travel, at most.</param>
    Task<IDataChannel> ConnectAsync(DataAddress address, long bytes, CancellationToken cancellationToken);

    /// <summary>
    /// Begins to listen. Throws <see cref="Krewe.Abstractions.KreweException"/> when the port is in use.
    /// </summary>
    IBlockListener Listen(string host, int port);
}

/// <summary>The holder's open door.</summary>
internal interface IBlockListener : IDisposable
{
    /// <summary>The bound port.</summary>
    int Port { get; }

    Task<IAcceptedLink> AcceptAsync(CancellationToken cancellationToken);
}

/// <summary>A connection whose ends have not yet agreed on how payloads travel.</summary>
internal interface IAcceptedLink : IDisposable
{
    /// <summary>
    /// Greets the peer and takes its answer; the channel then owns the connection. Null when the connection was a
    /// further one of another link, which has it now.
    /// </summary>
    Task<IDataChannel?> OpenAsync(CancellationToken cancellationToken);
}

/// <summary>
/// Gives an announced payload its place in this worker's arena; throws FrameException when none is expected.
/// </summary>
internal delegate ReadOnlyMemory<BlockSlice> PayloadRoom(DataMessage message, int payloadBytes);

/// <summary>
/// One connection. Sends from several tasks are put one after the other; one task receives. Every failure is an
/// <see cref="IOException"/>, or a FrameException for bytes that are not the protocol's.
/// </summary>
internal interface IDataChannel : IDisposable
{
    /// <summary>How payloads travel, for people.</summary>
    string Kind { get; }

    /// <summary>Bytes of a payload that suit the transport.</summary>
    int PieceBytes { get; }

    /// <summary>
    /// Sends a message and the bytes of these slices. When it returns, with an exception too, nobody on this side reads
    /// them any more; the peer may (shared memory) until it has said that it has everything, or until
    /// <see cref="Revoke"/>.
    /// </summary>
    Task SendAsync(DataMessage message, ReadOnlyMemory<BlockSlice> payload, CancellationToken cancellationToken);

    /// <summary>
    /// The next message, its payload verified and in place; null when the peer closed between two messages. With an
    /// exception the payload's place is not written any more.
    /// </summary>
    Task<DataMessage?> ReceiveAsync(PayloadRoom room, CancellationToken cancellationToken);

    /// <summary>
    /// To be called before blocks that were sent are freed without the peer's word that it has them: what the peer
    /// reads from now on it knows to be void. Any thread, any time, at once.
    /// </summary>
    void Revoke();

    /// <summary>No more sends; the peer still gets what was sent.</summary>
    void FinishSending();
}

/// <summary>Ways to receive.</summary>
internal static class DataChannelExtensions
{
    /// <summary>The next message, which must have no payload.</summary>
    public static Task<DataMessage?> ReceiveAsync(this IDataChannel channel, CancellationToken cancellationToken) =>
        channel.ReceiveAsync(RefuseRoom, cancellationToken);

    public static Task SendAsync(
        this IDataChannel channel, DataMessage message, CancellationToken cancellationToken) =>
        channel.SendAsync(message, default, cancellationToken);

    /// <summary>Says that this side lives, several times a lease, until it is cancelled. Does not throw.</summary>
    public static async Task RenewAsync(
        this IDataChannel channel, TimeSpan lease, TimeProvider time, CancellationToken cancellationToken)
    {
        try
        {
            using var timer = new PeriodicTimer(lease / HandoffLimits.RenewalsPerLease, time);
            while (await timer.WaitForNextTickAsync(cancellationToken))
                await channel.SendAsync(new DataMessage { Renew = new Renew() }, cancellationToken);
        }
        catch (Exception e) when (e is OperationCanceledException or IOException)
        {
            return; // it is over, or the one who receives sees the same broken link
        }
    }

    private static ReadOnlyMemory<BlockSlice> RefuseRoom(DataMessage message, int payloadBytes) =>
        throw new Krewe.Control.Links.FrameException(
            $"{message.BodyCase} with {payloadBytes} bytes of payload, where none is due.");
}
