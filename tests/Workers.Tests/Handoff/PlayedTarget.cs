using System.Net.Sockets;
using Krewe.Abstractions.Wire;

namespace Krewe.Workers.Tests;

/// <summary>A target that the test plays, message by message, to a real source.</summary>
internal sealed class PlayedTarget(FrameSocket frames) : IDisposable
{
    public FrameSocket Frames => frames;

    /// <summary>Connects and says hello for a request.</summary>
    public static async Task<PlayedTarget> MeetAsync(HandoffBench prefill, string request)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(prefill.Address.Host, (int)prefill.Address.Port);
        var target = new PlayedTarget(new FrameSocket(socket));
        Assert.NotNull((await target.NextAsync()).Greeting);
        await target.SendAsync(new DataMessage { Attach = new Attach() });
        await target.SendAsync(new DataMessage
        {
            Hello = new PullHello
            {
                Protocol = ProtocolVersion.Oldest,
                Key = new SequenceKey { RequestId = request, Epoch = 1 },
                SourceIncarnation = prefill.Identity.Incarnation,
                ModelFingerprint = prefill.Identity.ModelFingerprint,
                Numerics = prefill.Identity.Numerics.ToString(),
                Kv = prefill.Identity.Geometry.ToWire(),
                LeaseMs = (uint)EngineBench.Lease.TotalMilliseconds,
            },
        });
        return target;
    }

    public Task SendAsync(DataMessage message) => frames.SendAsync(message, [], CancellationToken.None);

    /// <summary>The next message; a payload is received and thrown away.</summary>
    public async Task<DataMessage> NextAsync()
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        var head = await frames.ReceiveAsync(limit.Token) ?? throw new IOException("closed");
        if (head.PayloadBytes > 0) await frames.FillAsync(head, [new byte[head.PayloadBytes]], limit.Token);
        return head.Message;
    }

    public void Dispose() => frames.Dispose();
}
