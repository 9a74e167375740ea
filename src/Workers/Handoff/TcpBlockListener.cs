using System.Net;
using System.Net.Sockets;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Control.Links;

namespace Krewe.Workers;

/// <summary>The listening end of <see cref="TcpBlockTransport"/>.</summary>
internal sealed class TcpBlockListener : IBlockListener
{
    private readonly Socket _socket;
    private readonly IKvArena _arena;
    private readonly KvTransport _choice;
    private readonly LinkTls? _tls;
    private readonly TcpLinkLimits _limits;
    private readonly LaneMeetings _meetings = new();
    private readonly SharedHolder? _shared;

    /// <param name="shared">The memory that peers of this host are offered, which ends with this; null: none.</param>
    /// <param name="tls">Null: plain TCP.</param>
    /// <param name="limits">What a link may be held to.</param>
    public TcpBlockListener(
        string host, int port, IKvArena arena, KvTransport choice, SharedHolder? shared, LinkTls? tls,
        TcpLinkLimits limits)
    {
        (_arena, _choice, _shared, _tls, _limits) = (arena, choice, shared, tls, limits);
        var address = IPAddress.TryParse(host, out var parsed) ? parsed : IPAddress.Any;
        try
        {
            _socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            _socket.Bind(new IPEndPoint(address, port));
            _socket.Listen();
        }
        catch (SocketException e)
        {
            Dispose();
            var code = e.SocketErrorCode == SocketError.AddressAlreadyInUse
                ? ErrorCode.PortInUse
                : ErrorCode.InvalidOptions;
            throw new KreweException(code,
                $"The data link cannot listen at {host}:{port}: {e.Message}. Give another --data-port (0 = any).");
        }
    }

    public int Port => ((IPEndPoint)_socket.LocalEndPoint!).Port;

    public async Task<IAcceptedLink> AcceptAsync(CancellationToken cancellationToken)
    {
        var socket = await _socket.AcceptAsync(cancellationToken);
        socket.NoDelay = true;
        _limits.ApplyTo(socket);
        return new Link(socket, _arena, _choice, _shared, _tls, Math.Max(1, _limits.Connections), _meetings);
    }

    public void Dispose()
    {
        _socket?.Dispose();
        _shared?.Dispose();
    }

    private sealed class Link(
        Socket socket, IKvArena arena, KvTransport choice, SharedHolder? shared, LinkTls? tls, int connectionsMax,
        LaneMeetings meetings)
        : IAcceptedLink
    {
        private bool _joined;

        public async Task<IDataChannel?> OpenAsync(CancellationToken cancellationToken)
        {
            var secured = tls is null
                ? null
                : await tls.AcceptAsync(new NetworkStream(socket), cancellationToken);
            var frames = new FrameSocket(socket, secured);
            var fence = shared?.Memory.RaiseFence();
            using var meeting = meetings.Open(connectionsMax);
            try
            {
                var greeting = new Greeting
                {
                    SharedOnly = choice == KvTransport.Shared,
                    Connections = (uint)connectionsMax,
                    Link = meeting.Link,
                };
                if (fence is not null) greeting.Shared = shared!.Offer(fence);
                await frames.SendAsync(new DataMessage { Greeting = greeting }, [], cancellationToken);
                if (await frames.ReceiveAsync(cancellationToken) is not { Message.Attach: { } attach })
                    throw new FrameException("A greeting was not answered.");
                if (attach.Shared && fence is null) throw new FrameException("A peer took what it was not offered.");
                if (attach.Connections > connectionsMax)
                    throw new FrameException($"A peer wants {attach.Connections} connections of {connectionsMax}.");
                if (attach.Shared) return new SharedHolderChannel(frames, arena, fence!);
                if (attach.Joins == 0)
                {
                    var lanes = await meeting.GatherAsync((int)attach.Connections - 1, cancellationToken);
                    fence?.Return();
                    return new TcpDataChannel(frames, arena, lanes);
                }

                meetings.Join(attach.Joins, (int)attach.Lane, frames);
                _joined = true;
            }
            catch
            {
                fence?.Return();
                frames.Dispose();
                throw;
            }

            fence?.Return();
            return null;
        }

        public void Dispose()
        {
            if (!_joined) socket.Dispose();
        }
    }
}
