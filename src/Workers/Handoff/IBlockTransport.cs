using Krewe.Abstractions.Wire;

namespace Krewe.Workers;

/// <summary>
/// How blocks travel between workers. TCP today; shared memory or RDMA can be added beside it: everything above speaks
/// in DataMessages with one payload each, and gives payloads their place in the KV arena.
/// </summary>
internal interface IBlockTransport
{
    /// <summary>Opens a channel to a source. Throws <see cref="IOException"/> when nobody listens.</summary>
    Task<IDataChannel> ConnectAsync(DataAddress address, CancellationToken cancellationToken);

    /// <summary>
    /// Begins to listen. Throws <see cref="Krewe.Abstractions.KreweException"/> when the port is in use.
    /// </summary>
    IBlockListener Listen(string host, int port);
}

/// <summary>The source's open door.</summary>
internal interface IBlockListener : IDisposable
{
    /// <summary>The bound port.</summary>
    int Port { get; }

    Task<IDataChannel> AcceptAsync(CancellationToken cancellationToken);
}

/// <summary>Gives an announced payload its place; throws FrameException when none is expected.</summary>
internal delegate Memory<byte> PayloadRoom(DataMessage message, int payloadBytes);

/// <summary>
/// One connection, one handoff. Sends from several tasks are put one after the other; one task receives. Every failure
/// is an
/// <see cref="IOException"/>, or a FrameException for bytes that are not the protocol's.
/// </summary>
internal interface IDataChannel : IDisposable
{
    /// <summary>Returns when the payload's memory is not read any more, with an exception too.</summary>
    Task SendAsync(DataMessage message, ReadOnlyMemory<byte> payload, CancellationToken cancellationToken);

    /// <summary>
    /// The next message, its payload verified and in place; null when the peer closed between two messages. With an
    /// exception the payload's memory is not written any more.
    /// </summary>
    Task<DataMessage?> ReceiveAsync(PayloadRoom room, CancellationToken cancellationToken);

    /// <summary>No more sends; the peer still gets what was sent.</summary>
    void FinishSending();
}
