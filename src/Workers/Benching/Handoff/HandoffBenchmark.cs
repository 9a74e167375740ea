using Krewe.Abstractions;
using Krewe.Abstractions.Wire;

namespace Krewe.Workers;

/// <summary>
/// Measures handoffs from another process into this one. It tells that process what to do through two functions, so
/// that how the process is started is the caller's business.
/// </summary>
/// <param name="tell">Sends one command line.</param>
/// <param name="hear">Waits for one answer line.</param>
public sealed class HandoffBenchmark(
    HandoffBenchSettings settings, KvTransport transport, Action<string> tell, Func<Task<string>> hear,
    TimeProvider time, ILogger logger)
{
    private int _requests;

    private string Name => transport == KvTransport.Tcp ? "tcp" : "shared";

    /// <summary>Throughput of handoffs of prefilled requests, and the transport's limit, by turns.</summary>
    public async Task<TransportFigures> MeasureThroughputAsync(CancellationToken cancellationToken)
    {
        await using var node = HandoffNode.Open(settings, transport, seed: 2, time, logger);
        var ports = await PortsAsync();
        var (handoff, limit, bytes) = (double.PositiveInfinity, double.PositiveInfinity, 0L);
        List<double> ratios = [], laneRatios = [];
        var lanes = transport == KvTransport.Tcp && settings.Connections > 1;

        // One round for the compiler and the page tables.
        for (var round = 0; round <= settings.Repeats; round++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            (var seconds, bytes) = await HandOffAsync(node, ports.Data, cancellationToken);
            var bound = transport == KvTransport.Tcp
                ? await CopyRawAsync(node, "raw", ports.Raw, bytes, 1)
                : CopyMemory(bytes);
            var laneBound = lanes
                ? await CopyRawAsync(node, "lanes", ports.Raw, bytes, settings.Connections)
                : double.NaN;
            if (round == 0) continue;
            (handoff, limit) = (Math.Min(handoff, seconds), Math.Min(limit, bound));
            ratios.Add(bound / seconds);
            laneRatios.Add(laneBound / seconds);
        }

        ratios.Sort();
        laneRatios.Sort();
        return new TransportFigures
        {
            Transport = Name,
            Limit = transport == KvTransport.Tcp ? "raw_socket" : "memcpy",
            Bytes = bytes,
            BytesPerSecond = bytes / handoff,
            LimitBytesPerSecond = bytes / limit,
            Connections = transport == KvTransport.Tcp ? settings.Connections : 1,
            MedianRatio = ratios[ratios.Count / 2],
            RoundRatios = ratios,
            LanesMedianRatio = lanes ? laneRatios[laneRatios.Count / 2] : null,
        };
    }

    /// <summary>Time to the first token by the model, by turns in one process and across two.</summary>
    public async Task<TtftFigures> MeasureTtftAsync(CancellationToken cancellationToken)
    {
        await using var node = HandoffNode.Open(settings, transport, seed: 2, time, logger);
        var ports = await PortsAsync();
        var (whole, handedOff) = (double.PositiveInfinity, double.PositiveInfinity);
        for (var round = 0; round <= settings.Repeats; round++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var begun = time.GetTimestamp();
            tell($"whole {_requests++}");
            await DoneAsync();
            var alone = time.GetElapsedTime(begun).TotalMilliseconds;

            begun = time.GetTimestamp();
            var owner = new WaitingOwner(time);
            tell($"prefill {_requests}");
            node.Start(owner, $"{_requests++}", SequencePart.Decode, settings.PromptTokens, node.AddressOf(ports.Data));
            await owner.WhenAsync(SequenceEventKind.Released, cancellationToken);
            var across = time.GetElapsedTime(begun, owner.FirstToken!.Value).TotalMilliseconds;
            await DoneAsync();
            if (round == 0) continue;
            (whole, handedOff) = (Math.Min(whole, alone), Math.Min(handedOff, across));
        }

        return new TtftFigures
        {
            Transport = Name,
            PromptTokens = settings.PromptTokens,
            WholeMs = whole,
            HandedOffMs = handedOff,
        };
    }

    private async Task<(double Seconds, long Bytes)> HandOffAsync(
        HandoffNode node, int port, CancellationToken cancellationToken)
    {
        tell($"prefill {_requests}");
        await DoneAsync();
        var owner = new WaitingOwner(time);
        node.Start(owner, $"{_requests++}", SequencePart.Decode, settings.PromptTokens, node.AddressOf(port));
        var begun = await owner.WhenAsync(SequenceEventKind.HandoffStarted, cancellationToken);
        var ended = await owner.WhenAsync(SequenceEventKind.HandoffCommitted, cancellationToken);
        await owner.WhenAsync(SequenceEventKind.Released, cancellationToken);
        return (time.GetElapsedTime(begun, ended).TotalSeconds, owner.BytesMoved);
    }

    private async Task<double> CopyRawAsync(HandoffNode node, string command, int port, long bytes, int ways)
    {
        tell($"{command} {bytes}");
        var seconds = RawSockets.Take(port, node.Runner.Kv, bytes, ways, time);
        await DoneAsync();
        return seconds;
    }

    private double CopyMemory(long bytes)
    {
        using var from = new Krewe.Kernels.NativeArray<byte>(bytes);
        using var to = new Krewe.Kernels.NativeArray<byte>(bytes);
        unsafe
        {
            var begun = time.GetTimestamp();
            Buffer.MemoryCopy(from.Data, to.Data, bytes, bytes);
            return time.GetElapsedTime(begun).TotalSeconds;
        }
    }

    private async Task<(int Data, int Raw)> PortsAsync()
    {
        var words = (await hear()).Split(' ');
        return (int.Parse(words[0], provider: null), int.Parse(words[1], provider: null));
    }

    private async Task DoneAsync()
    {
        if (await hear() is var answer && answer != "done")
            throw new KreweException(ErrorCode.Internal, $"The other process said '{answer}' instead of done.");
    }
}
