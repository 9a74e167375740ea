using System.Buffers;
using System.Globalization;
using System.Net.Sockets;
using Krewe.Abstractions.Wire;
using Krewe.Control.Links;
using Krewe.Models;

namespace Krewe.Cli;

/// <summary>
/// A worker that computes nothing: what a request costs beside it is the gateway's. A prompt's second token says how
/// many ms lie between two output tokens; 0 = as fast as they can be sent, one of each stream a step.
/// </summary>
internal sealed class MockEngine(ModelFolder model, string silo, TimeProvider time)
{
    private const uint AnyToken = 300;

    private static readonly TimeSpan LongestWait = TimeSpan.FromMilliseconds(50);

    private readonly Dictionary<SequenceKey, Running> _running = [];
    private long _loadReportedAt;

    /// <summary>
    /// Runs until the silo closes the link, or until cancelled. On a thread of its own from the socket to the socket:
    /// every other thread that had to wake up would count as the gateway's time.
    /// </summary>
    public Task RunAsync(CancellationToken cancellationToken) => Task.Factory.StartNew(
        () => Run(cancellationToken), cancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    private void Run(CancellationToken cancellationToken)
    {
        using var client = new TcpClient { NoDelay = true };
        var colon = silo.LastIndexOf(':');
        client.Connect(silo[..colon], int.Parse(silo[(colon + 1)..], CultureInfo.InvariantCulture));
        var socket = client.Client;
        var writer = new ArrayBufferWriter<byte>();
        FrameCodec.Write(writer, new WorkerMessage { Hello = Hello() });
        var (arrived, count) = (new byte[64 << 10], 0);
        while (!cancellationToken.IsCancellationRequested)
        {
            if (writer.WrittenCount > 0) socket.Send(writer.WrittenSpan);
            writer.ResetWrittenCount();
            if (socket.Poll(NextWait(), SelectMode.SelectRead))
            {
                if (count == arrived.Length) Array.Resize(ref arrived, 2 * count);
                var read = socket.Receive(arrived.AsSpan(count));
                if (read == 0) return;
                var left = new ReadOnlySequence<byte>(arrived, 0, count + read);
                while (FrameCodec.TryRead(ref left, SiloMessage.Parser, out var message)) Take(message!, writer);
                count = (int)left.Length;
                left.CopyTo(arrived);
            }

            Step(writer);
        }
    }

    private void Take(SiloMessage message, IBufferWriter<byte> writer)
    {
        if (message.Start is { } start) Begin(start, writer);
        if (message.Abort is { } abort && _running.Remove(abort.Key))
            Tell(writer, abort.Key, SequenceEventKind.Released);
    }

    private void Step(IBufferWriter<byte> writer)
    {
        var now = Now();
        var batch = new TokenBatch();
        List<SequenceKey> ended = [];
        foreach (var (key, running) in _running)
        {
            if (running.DueMs > now) continue;
            running.DueMs += running.IntervalMs;
            var isLast = running.Sent + 1 == running.Max;
            batch.Runs.Add(new TokenRun
            {
                Key = key,
                FirstIndex = running.Sent++,
                Tokens = { AnyToken },
                Finish = isLast ? FinishReason.Length : FinishReason.Unspecified,
            });
            if (isLast) ended.Add(key);
        }

        if (batch.Runs.Count > 0) FrameCodec.Write(writer, new WorkerMessage { Tokens = batch });
        foreach (var key in ended)
        {
            _running.Remove(key);
            Tell(writer, key, SequenceEventKind.Released);
        }

        if (now - _loadReportedAt < LongestWait.TotalMilliseconds) return;
        _loadReportedAt = (long)now;
        FrameCodec.Write(writer, new WorkerMessage
        {
            Load = new LoadReport
            {
                TotalBlocks = Blocks,
                FreeBlocks = Blocks,
                RunningSequences = (uint)_running.Count,
            },
        });
    }

    private void Begin(StartSequence start, IBufferWriter<byte> writer)
    {
        Tell(writer, start.Key, SequenceEventKind.Accepted);
        Tell(writer, start.Key, SequenceEventKind.PrefillStarted);
        Tell(writer, start.Key, SequenceEventKind.PrefillFinished);
        Tell(writer, start.Key, SequenceEventKind.DecodeStarted);
        _running[start.Key] = new Running
        {
            Max = start.MaxOutputTokens,
            IntervalMs = start.PromptTokens.Count > 1 ? start.PromptTokens[1] : 0,
            DueMs = Now(),
        };
    }

    private TimeSpan NextWait()
    {
        var due = _running.Count == 0 ? double.PositiveInfinity : _running.Values.Min(running => running.DueMs);
        var wait = Math.Min(due - Now(), LongestWait.TotalMilliseconds);
        return TimeSpan.FromMilliseconds(Math.Max(0, wait));
    }

    private double Now() => time.GetElapsedTime(0).TotalMilliseconds;

    private static void Tell(IBufferWriter<byte> writer, SequenceKey key, SequenceEventKind kind) =>
        FrameCodec.Write(writer, new WorkerMessage { Event = new SequenceEvent { Key = key, Kind = kind } });

    private const uint Blocks = 1 << 20;

    private Hello Hello() => new()
    {
        Protocol = ProtocolVersion.Oldest,
        WorkerId = "mock-0",
        Incarnation = 1,
        LinkEpoch = 1,
        Role = WorkerRole.Mixed,
        ModelName = model.Name,
        ModelFingerprint = model.Fingerprint,
        Numerics = "mock/v1",
        Kv = new KvGeometry
        {
            Layers = (uint)model.Config.Layers,
            KvHeads = (uint)model.Config.KvHeads,
            HeadDim = (uint)model.Config.HeadDim,
            BlockTokens = 16,
            Format = "BF16",
        },
        TotalBlocks = Blocks,
        MaxContextTokens = (uint)model.Config.MaxPositions,
        DataHost = "127.0.0.1",
        DataPort = 1,
        Pid = (uint)Environment.ProcessId,
    };

    private sealed class Running
    {
        public required uint Max { get; init; }

        public required double IntervalMs { get; init; }

        public double DueMs { get; set; }

        public uint Sent { get; set; }
    }
}
