using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using Krewe.Abstractions.Wire;
using Krewe.Control.Links;

namespace Krewe.Workers.Tests;

/// <summary>A silo played by the test: a listener, and one object per accepted link.</summary>
internal sealed class PlayedSilo : IDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

    public PlayedSilo()
    {
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen();
    }

    public string Address => $"127.0.0.1:{((IPEndPoint)_listener.LocalEndPoint!).Port}";

    /// <summary>A played silo sends no heartbeats: its silence says nothing, however long a test takes.</summary>
    public static HelloReply Welcome(string silo = "silo-0") => new()
    {
        Accepted = true,
        SiloId = silo,
        HeartbeatMs = 50,
        SilenceMs = 600_000,
    };

    /// <summary>Accepts the next link and reads its hello.</summary>
    public async Task<PlayedLink> AcceptAsync()
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        return await PlayedLink.OpenAsync(await _listener.AcceptAsync(limit.Token));
    }

    public async Task<PlayedLink> AcceptAsync(HelloReply reply)
    {
        var link = await AcceptAsync();
        await link.SendAsync(new SiloMessage { Welcome = reply });
        return link;
    }

    /// <summary>Nobody connects for half a second, which is some retries' time. One that is on its way may come.
    /// </summary>
    public async Task WhenLeftAloneAsync()
    {
        for (var attempts = 0; attempts < 10; attempts++)
        {
            using var quiet = new CancellationTokenSource(TimeSpan.FromSeconds(0.5));
            try
            {
                (await _listener.AcceptAsync(quiet.Token)).Dispose();
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }

        Assert.Fail("The worker connects again and again.");
    }

    public void Dispose() => _listener.Dispose();
}

internal sealed class PlayedLink : IDisposable
{
    private readonly Socket _socket;
    private readonly NetworkStream _stream;
    private readonly PipeReader _reader;

    private PlayedLink(Socket socket)
    {
        _socket = socket;
        _stream = new NetworkStream(socket);
        _reader = PipeReader.Create(_stream);
    }

    public Hello Hello { get; private set; } = new();

    public static async Task<PlayedLink> OpenAsync(Socket socket)
    {
        var link = new PlayedLink(socket);
        link.Hello = (await link.NextAsync() ?? throw new IOException("no hello")).Hello;
        return link;
    }

    public async Task SendAsync(SiloMessage message)
    {
        var frames = new ArrayBufferWriter<byte>();
        FrameCodec.Write(frames, message);
        await _stream.WriteAsync(frames.WrittenMemory);
    }

    public Task SendRawAsync(byte[] bytes) => _stream.WriteAsync(bytes).AsTask();

    public Task StartAsync(StartSequence start) => SendAsync(new SiloMessage { Start = start });

    /// <summary>The worker's next message; null when it closed the link.</summary>
    public async Task<WorkerMessage?> NextAsync()
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        while (true)
        {
            ReadResult read;
            try
            {
                read = await _reader.ReadAsync(limit.Token);
            }
            catch (IOException)
            {
                return null;
            }

            var buffer = read.Buffer;
            if (FrameCodec.TryRead(ref buffer, WorkerMessage.Parser, out var message))
            {
                _reader.AdvanceTo(buffer.Start);
                return message;
            }

            _reader.AdvanceTo(buffer.Start, buffer.End);
            if (read.IsCompleted) return null;
        }
    }

    /// <summary>The next message that fits; others are skipped.</summary>
    public async Task<WorkerMessage> NextAsync(Func<WorkerMessage, bool> fits)
    {
        while (await NextAsync() is { } message)
        {
            if (fits(message)) return message;
        }

        throw new IOException("The worker closed the link.");
    }

    /// <summary>Reads until the worker has closed the link.</summary>
    public async Task WhenClosedAsync()
    {
        while (await NextAsync() is not null) { }
    }

    /// <summary>Reads a sequence's tokens until it is released.</summary>
    public async Task<List<int>> TokensAsync(string request)
    {
        var tokens = new List<int>();
        await NextAsync(message =>
        {
            foreach (var run in message.Tokens?.Runs ?? [])
            {
                if (run.Key.RequestId != request) continue;
                Assert.Equal(tokens.Count, (int)run.FirstIndex);
                tokens.AddRange(run.Tokens.Select(token => (int)token));
            }

            return message.Event is { Kind: SequenceEventKind.Released } released && released.Key.RequestId == request;
        });
        return tokens;
    }

    public void Dispose() => _socket.Dispose();
}
