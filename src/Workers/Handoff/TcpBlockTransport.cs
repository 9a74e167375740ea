using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Control.Links;

namespace Krewe.Workers;

/// <summary>
/// Data links over TCP. The holder greets and offers its memory; a peer that can map it says so, and payloads then do
/// not cross the socket. Whether both are on one host is found out by doing it, not by comparing names.
/// </summary>
/// <param name="arena">Whose blocks travel.</param>
/// <param name="choice">Whether memory is offered and mapped.</param>
/// <param name="time">For how long mappings are kept.</param>
/// <param name="tls">Null: plain TCP.</param>
/// <param name="logger">Told, once for each worker, why memory that was offered is not used; null: nobody.</param>
/// <param name="limits">What a link may be held to.</param>
internal sealed partial class TcpBlockTransport(
    IKvArena arena, KvTransport choice, TimeProvider time, LinkTls? tls = null, ILogger? logger = null,
    TcpLinkLimits limits = default)
    : IBlockTransport, IDisposable
{
    private readonly PeerMemories _peers = new(time, arena as IDeviceKvArena);
    private readonly ConcurrentDictionary<string, bool> _told = new();

    public async Task<IDataChannel> ConnectAsync(DataAddress address, CancellationToken cancellationToken)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            limits.ApplyTo(socket);
            if (limits.Proxy is { } proxy)
                await ConnectThroughAsync(proxy, socket, address, cancellationToken);
            else
                await ConnectAsync(socket, address.Host, (int)address.Port, cancellationToken);
            var secured = tls is null
                ? null
                : await tls.ConnectAsync(new NetworkStream(socket), address.Host, cancellationToken);
            return await AttachAsync(new FrameSocket(socket, secured), address, cancellationToken);
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw new IOException(
                $"No data link to {address.WorkerId} at {address.Host}:{address.Port}: {e.Message}", e);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    public IBlockListener Listen(string host, int port) =>
        new TcpBlockListener(host, port, arena, choice, tls, limits);

    /// <summary>To be called when all links have ended.</summary>
    public void Dispose() => _peers.Dispose();

    private static async Task ConnectThroughAsync(
        IPEndPoint proxy, Socket socket, DataAddress address, CancellationToken cancellationToken)
    {
        await ConnectAsync(socket, proxy.Address.ToString(), proxy.Port, cancellationToken);
        socket.Send(Encoding.ASCII.GetBytes($"{address.Host}:{address.Port}\n"));
    }

    /// <summary>
    /// On a thread of its own and not by the runtime's ConnectAsync, which would leave the socket with the runtime's
    /// poller for good (see <see cref="VectoredSocket"/>).
    /// </summary>
    private static async Task ConnectAsync(Socket socket, string host, int port, CancellationToken cancellationToken)
    {
        await using var abort = cancellationToken.Register(socket.Dispose);
        try
        {
            await Task.Factory.StartNew(
                () => socket.Connect(host, port), cancellationToken, TaskCreationOptions.LongRunning,
                TaskScheduler.Default);
        }
        catch (Exception e) when (
            e is SocketException or ObjectDisposedException && cancellationToken.IsCancellationRequested)
        {
            throw new OperationCanceledException("The connection was given up.", e, cancellationToken);
        }
    }

    private async Task<IDataChannel> AttachAsync(
        FrameSocket frames, DataAddress address, CancellationToken cancellationToken)
    {
        PeerMemories.Hold? hold = null;
        Greeting greeting;
        try
        {
            if (await frames.ReceiveAsync(cancellationToken) is not { Message.Greeting: { } greeted })
                throw new FrameException("A data link began without a greeting.");
            greeting = greeted;
            var reason = "it offers no shared memory";
            if (choice != KvTransport.Tcp && greeting.Shared is { } offer) hold = _peers.TryHold(offer, out reason);
            if (hold is null && (choice == KvTransport.Shared || greeting.SharedOnly))
            {
                throw new IOException($"The memory of {address.WorkerId} cannot be used: {reason}. One of the two "
                    + "workers has --kv-transport shared; use auto or tcp.");
            }

            if (hold is null && choice != KvTransport.Tcp && greeting.Shared is not null) Tell(address, reason);
            var attach = new Attach { Shared = hold is not null };
            await frames.SendAsync(new DataMessage { Attach = attach }, [], cancellationToken);
        }
        catch
        {
            frames.Dispose();
            hold?.Dispose();
            throw;
        }

        return hold is null
            ? new TcpDataChannel(frames, arena)
            : new SharedPeerChannel(
                frames, arena, hold, (int)greeting.Shared!.FenceSlot, greeting.Shared.FenceGeneration);
    }

    private void Tell(DataAddress address, string reason)
    {
        if (logger is not null && _told.TryAdd(address.WorkerId, true)) LogStaged(logger, address.WorkerId, reason);
    }

    [LoggerMessage(LogLevel.Information, "Blocks of {Worker} come over the data link, not out of its memory: {Reason}")]
    private static partial void LogStaged(ILogger logger, string worker, string reason);
}
