using System.Collections.Concurrent;
using System.Globalization;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Threading.Channels;
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

    private readonly ConcurrentQueue<SiloMessage> _arrived = [];
    private readonly Channel<bool> _wake = Channel.CreateBounded<bool>(
        new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    private readonly Dictionary<SequenceKey, Running> _running = [];
    private long _loadReportedAt;

    /// <summary>Runs until the silo closes the link, or until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using var client = new TcpClient { NoDelay = true };
        var colon = silo.LastIndexOf(':');
        await client.ConnectAsync(
            silo[..colon], int.Parse(silo[(colon + 1)..], CultureInfo.InvariantCulture), cancellationToken);
        var stream = client.GetStream();
        var (reader, writer) = (PipeReader.Create(stream), PipeWriter.Create(stream));
        FrameCodec.Write(writer, new WorkerMessage { Hello = Hello() });
        await writer.FlushAsync(cancellationToken);
        var reading = ReadAsync(reader, cancellationToken);
        while (!reading.IsCompleted)
        {
            Step(writer);
            if (writer.UnflushedBytes > 0) await writer.FlushAsync(cancellationToken);
            var wait = NextWait();
            if (wait > TimeSpan.Zero) await WaitAsync(wait, cancellationToken);
        }

        await reading;
    }

    /// <summary>Until something arrives, or the next token is due.</summary>
    private async Task WaitAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        try
        {
            // Not a read: one that was given up would still take what comes later.
            await _wake.Reader.WaitToReadAsync(cancellationToken).AsTask().WaitAsync(limit, time, cancellationToken);
            _wake.Reader.TryRead(out _);
        }
        catch (TimeoutException)
        {
            // Time for the next token.
        }
    }

    private async Task ReadAsync(PipeReader reader, CancellationToken cancellationToken)
    {
        while (true)
        {
            var read = await reader.ReadAsync(cancellationToken);
            var buffer = read.Buffer;
            while (FrameCodec.TryRead(ref buffer, SiloMessage.Parser, out var message))
            {
                _arrived.Enqueue(message!);
                _wake.Writer.TryWrite(true);
            }

            reader.AdvanceTo(buffer.Start, buffer.End);
            if (read.IsCompleted) return;
        }
    }

    private void Step(PipeWriter writer)
    {
        while (_arrived.TryDequeue(out var message))
        {
            if (message.Start is { } start) Begin(start, writer);
            if (message.Abort is { } abort && _running.Remove(abort.Key))
                Tell(writer, abort.Key, SequenceEventKind.Released);
        }

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

    private void Begin(StartSequence start, PipeWriter writer)
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
        if (!_arrived.IsEmpty) return TimeSpan.Zero;
        var due = _running.Count == 0 ? double.PositiveInfinity : _running.Values.Min(running => running.DueMs);
        var wait = Math.Min(due - Now(), LongestWait.TotalMilliseconds);
        return TimeSpan.FromMilliseconds(Math.Max(0, wait));
    }

    private double Now() => time.GetElapsedTime(0).TotalMilliseconds;

    private static void Tell(PipeWriter writer, SequenceKey key, SequenceEventKind kind) =>
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
