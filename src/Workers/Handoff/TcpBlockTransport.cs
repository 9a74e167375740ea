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
/// <param name="shareFolder">See <see cref="WorkerOptions.KvShareFolder"/>.</param>
internal sealed partial class TcpBlockTransport(
    IKvArena arena, KvTransport choice, TimeProvider time, LinkTls? tls = null, ILogger? logger = null,
    TcpLinkLimits limits = default, string? shareFolder = null)
    : IBlockTransport, IDisposable
{
    private readonly PeerMemories _peers = new(time, arena as IDeviceKvArena, shareFolder);
    private readonly ConcurrentDictionary<string, bool> _told = new();

    public async Task<IDataChannel> ConnectAsync(
        DataAddress address, long bytes, CancellationToken cancellationToken)
    {
        var frames = await OpenAsync(address, cancellationToken);
        PeerMemories.Hold? hold = null;
        FrameSocket[] lanes = [];
        try
        {
            var greeting = await GreetedAsync(frames, cancellationToken);
            hold = TakeOffer(address, greeting);
            if (hold is null) lanes = new FrameSocket[FurtherConnections(greeting, bytes)];
            var attach = new Attach { Shared = hold is not null, Connections = (uint)lanes.Length + 1 };
            await frames.SendAsync(new DataMessage { Attach = attach }, [], cancellationToken);
            for (var i = 0; i < lanes.Length; i++)
                lanes[i] = await JoinAsync(address, greeting.Link, i + 1, cancellationToken);
            return hold is null
                ? new TcpDataChannel(frames, arena, lanes)
                : new SharedPeerChannel(
                    frames, arena, hold, (int)greeting.Shared!.FenceSlot, greeting.Shared.FenceGeneration);
        }
        catch
        {
            frames.Dispose();
            hold?.Dispose();
            foreach (var lane in lanes) lane?.Dispose();
            throw;
        }
    }

    public IBlockListener Listen(string host, int port) =>
        new TcpBlockListener(host, port, arena, choice, OpenShared(), tls, limits);

    /// <summary>To be called when all links have ended.</summary>
    public void Dispose() => _peers.Dispose();

    private SharedHolder? OpenShared()
    {
        if (choice == KvTransport.Tcp) return null;
        try
        {
            return SharedHolder.Open(arena, shareFolder, time);
        }
        catch (IOException refused) when (shareFolder is null && choice == KvTransport.Auto)
        {
            if (logger is not null) LogNoMeeting(logger, refused.Message);
            return null;
        }
        catch (IOException refused)
        {
            throw new KreweException(
                ErrorCode.InvalidOptions, $"Other workers of this host cannot meet this one: {refused.Message}. Give a "
                    + "folder where this user may write with --kv-share-folder.");
        }
    }

    /// <summary>A further connection of a link.</summary>
    private async Task<FrameSocket> JoinAsync(
        DataAddress address, ulong link, int lane, CancellationToken cancellationToken)
    {
        var frames = await OpenAsync(address, cancellationToken);
        try
        {
            await GreetedAsync(frames, cancellationToken);
            var attach = new Attach { Joins = link, Lane = (uint)lane };
            await frames.SendAsync(new DataMessage { Attach = attach }, [], cancellationToken);
            return frames;
        }
        catch
        {
            frames.Dispose();
            throw;
        }
    }

    private static async Task<Greeting> GreetedAsync(FrameSocket frames, CancellationToken cancellationToken) =>
        await frames.ReceiveAsync(cancellationToken) is { Message.Greeting: { } greeting }
            ? greeting
            : throw new FrameException("A data link began without a greeting.");

    /// <summary>The holder's memory, where it offers it and it can be mapped.</summary>
    private PeerMemories.Hold? TakeOffer(DataAddress address, Greeting greeting)
    {
        var reason = "it offers no shared memory";
        var hold = choice != KvTransport.Tcp && greeting.Shared is { } offer ? _peers.TryHold(offer, out reason) : null;
        if (hold is null && (choice == KvTransport.Shared || greeting.SharedOnly))
        {
            throw new IOException($"The memory of {address.WorkerId} cannot be used: {reason}. One of the two "
                + "workers has --kv-transport shared; use auto or tcp.");
        }

        if (hold is null && choice != KvTransport.Tcp && greeting.Shared is not null) Tell(address, reason);
        return hold;
    }

    private int FurtherConnections(Greeting greeting, long bytes) => bytes < limits.LanesFromBytes
        ? 0
        : Math.Max(1, (int)Math.Min(greeting.Connections, (uint)limits.Connections)) - 1;

    private async Task<FrameSocket> OpenAsync(DataAddress address, CancellationToken cancellationToken)
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
            return new FrameSocket(socket, secured);
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

    private void Tell(DataAddress address, string reason)
    {
        if (logger is not null && _told.TryAdd(address.WorkerId, true)) LogStaged(logger, address.WorkerId, reason);
    }

    [LoggerMessage(LogLevel.Warning,
        "KV memory is not offered to other workers of this host, whose blocks take the data link: {Reason}. Give a "
            + "folder where this user may write with --kv-share-folder.")]
    private static partial void LogNoMeeting(ILogger logger, string reason);

    [LoggerMessage(LogLevel.Information, "Blocks of {Worker} come over the data link, not out of its memory: {Reason}")]
    private static partial void LogStaged(ILogger logger, string worker, string reason);
}
