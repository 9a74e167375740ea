using System.Net;
using System.Net.Sockets;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;

namespace Krewe.Workers.Tests;

public sealed class ConnectTests
{
    /// <summary>The listener takes nobody and its queue is full: a connection hangs until it is given up.</summary>
    [Fact]
    public async Task A_connection_that_nobody_answers_is_given_up_with_the_patience()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(1);
        var port = ((IPEndPoint)listener.LocalEndPoint!).Port;
        var queued = Enumerable.Range(0, 8).Select(_ => new TcpClient()).ToArray();
        var waiting = queued.Select(client => client.ConnectAsync(IPAddress.Loopback, port)).ToArray();
        using var arena = new FakeArena(1);
        using var transport = new TcpBlockTransport(arena, KvTransport.Tcp, TimeProvider.System);
        using var patience = new CancellationTokenSource();
        var address = new DataAddress { WorkerId = "deaf", Host = "127.0.0.1", Port = (uint)port };

        var connecting = transport.ConnectAsync(address, bytes: 0, patience.Token);
        patience.CancelAfter(TimeSpan.FromMilliseconds(200));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => connecting.WaitAsync(TimeSpan.FromMinutes(2)));

        foreach (var client in queued) client.Dispose();
        await Task.WhenAll(waiting.Select(task => task.ContinueWith(_ => { }, TaskScheduler.Default)));
    }
}
