using System.Net;
using System.Net.Sockets;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;

namespace Krewe.Workers;

/// <summary>Data links over TCP.</summary>
/// <param name="blockBytes">Largest payload that a peer may announce.</param>
internal sealed class TcpBlockTransport(int blockBytes) : IBlockTransport
{
    public async Task<IDataChannel> ConnectAsync(DataAddress address, CancellationToken cancellationToken)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(address.Host, (int)address.Port, cancellationToken);
            return new TcpDataChannel(socket, blockBytes);
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

    public IBlockListener Listen(string host, int port) => new Listener(host, port, blockBytes);

    private sealed class Listener : IBlockListener
    {
        private readonly Socket _socket;
        private readonly int _blockBytes;

        public Listener(string host, int port, int blockBytes)
        {
            _blockBytes = blockBytes;
            var address = IPAddress.TryParse(host, out var parsed) ? parsed : IPAddress.Any;
            _socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                _socket.Bind(new IPEndPoint(address, port));
                _socket.Listen();
            }
            catch (SocketException e)
            {
                _socket.Dispose();
                var code = e.SocketErrorCode == SocketError.AddressAlreadyInUse
                    ? ErrorCode.PortInUse
                    : ErrorCode.InvalidOptions;
                throw new KreweException(code,
                    $"The data link cannot listen at {host}:{port}: {e.Message}. Give another --data-port (0 = any).");
            }
        }

        public int Port => ((IPEndPoint)_socket.LocalEndPoint!).Port;

        public async Task<IDataChannel> AcceptAsync(CancellationToken cancellationToken)
        {
            var socket = await _socket.AcceptAsync(cancellationToken);
            socket.NoDelay = true;
            return new TcpDataChannel(socket, _blockBytes);
        }

        public void Dispose() => _socket.Dispose();
    }
}
