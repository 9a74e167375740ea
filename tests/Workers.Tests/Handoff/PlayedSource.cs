using System.Net;
using System.Net.Sockets;
using Google.Protobuf;
using Krewe.Abstractions.Wire;
using Krewe.Control.Links;
using static Krewe.Workers.Tests.EngineBench;

namespace Krewe.Workers.Tests;

/// <summary>A source that the test plays, frame by frame, to a real target.</summary>
internal sealed class PlayedSource(Socket socket, FrameSocket frames) : IDisposable
{
    public Socket Socket => socket;

    public FrameSocket Frames => frames;

    /// <summary>Starts request "a" on the target and takes its greeting, hello and first credit.</summary>
    public static async Task<PlayedSource> MeetAsync(HandoffBench decode, int[] prompt)
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var port = (uint)((IPEndPoint)listener.LocalEndPoint!).Port;
        decode.Start(
            Start("a", prompt, 10, SequencePart.Decode), new DataAddress { Host = "127.0.0.1", Port = port });
        var socket = await listener.AcceptAsync().WaitAsync(TimeSpan.FromMinutes(2));
        var source = new PlayedSource(socket, new FrameSocket(socket));
        await source.SendAsync(new DataMessage { Greeting = new Greeting() });
        Assert.NotNull((await source.NextAsync()).Attach);
        Assert.NotNull((await source.NextAsync()).Hello);
        Assert.Equal((uint)FakeRunner.Geometry.BlocksFor(prompt.Length), (await source.NextAsync()).Pull.Count);
        return source;
    }

    public Task SendAsync(DataMessage message) => frames.SendAsync(message, [], CancellationToken.None);

    public Task SendBlockAsync(int index) => SendPieceAsync(Whole(index));

    public Task SendPieceAsync(Piece piece) => frames.SendAsync(
        new DataMessage { Piece = piece }, [PayloadOf(piece)], CancellationToken.None);

    /// <summary>One whole block, in bytes of the test's own making.</summary>
    public async Task SendRawBlockAsync(bool flipBit)
    {
        var message = new DataMessage { Piece = Whole(0) }.ToByteArray();
        var payload = PayloadOf(Whole(0));
        var head = new byte[DataFrame.HeaderBytes];
        DataFrame.Of(message, payload).Write(head);
        if (flipBit) payload[^1] ^= 0x10;
        await socket.SendAsync((byte[])[.. head, .. message, .. payload]);
    }

    public async Task<DataMessage> NextAsync()
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        return (await frames.ReceiveAsync(limit.Token) ?? throw new IOException("closed")).Message;
    }

    public static Piece Whole(int index) => new()
    {
        FirstBlock = (uint)index,
        Blocks = 1,
        Layers = (uint)FakeRunner.Geometry.Layers,
        RunBlocks = 1,
    };

    public void Dispose() => frames.Dispose();

    private static byte[] PayloadOf(Piece piece) =>
        new byte[piece.Blocks * piece.Layers * FakeRunner.Geometry.LayerBytes];
}
