using System.Collections.Concurrent;
using Krewe.Abstractions;
using Krewe.Silo.Access;
using Krewe.Silo.Telemetry;
using Microsoft.Extensions.Logging;
using Orleans;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Streams;

/// <summary>The live sequences of this silo's gateway, by request and choice.</summary>
internal sealed class RequestStreams(
    IGrainFactory grains, StreamCounters counters, SiloMetrics metrics, TimeProvider time, ILogger<RequestStreams> log)
{
    private readonly ConcurrentDictionary<(string RequestId, int Choice), RequestStream> _streams = [];

    public int Count => _streams.Count;

    /// <summary>Opens a new sequence's stream. Throws <see cref="KreweException"/> when its id is in use.</summary>
    /// <param name="spec">The sequence.</param>
    /// <param name="isWatched">Of a client that waits: it counts in the metrics.</param>
    public RequestStream Open(RequestSpec spec, bool isWatched)
    {
        var requestId = spec.RequestId;
        var watch = isWatched ? new SequenceWatch(spec, metrics, time) : null;
        var reports = new RequestReports(grains.GetGrain<IRequestGrain>(spec.GrainKey), spec.GrainKey, log, watch);
        var stream = new RequestStream(
            requestId, reports, counters, spec.Choice,
            spec.Sampling.PromptLogprobs is null ? 0 : spec.PromptTokens.Length - 1, watch);
        return _streams.TryAdd((requestId, spec.Choice), stream)
            ? stream
            : throw new KreweException(
                ErrorCode.DuplicateRequestId,
                $"A request with the id '{RequestIds.Outside(requestId)}' is running. Send another X-Request-Id, or "
                + "none.");
    }

    /// <summary>The live stream; null when it was closed or belongs to another silo.</summary>
    public RequestStream? Find(string requestId, int choice) => _streams.GetValueOrDefault((requestId, choice));

    /// <summary>Output tokens that the owner of this sequence has; 0 when its stream is not here.</summary>
    public int TokenCountOf(RequestSpec spec) => Find(spec.RequestId, spec.Choice)?.TokenCount ?? 0;

    /// <summary>Ends the stream if it lives, and forgets it: later tokens of it are counted as late.</summary>
    public void Close(RequestStream stream)
    {
        stream.TryEnd(new StreamEnd.Closed());
        _streams.TryRemove(
            new KeyValuePair<(string RequestId, int Choice), RequestStream>((stream.RequestId, stream.Choice), stream));
    }

    /// <summary>Hands each run of a worker's batch to its owner.</summary>
    public void Accept(Wire.TokenBatch batch)
    {
        foreach (var run in batch.Prompts) Find(run.Key)?.Accept(run);
        foreach (var run in batch.Runs)
        {
            if (Find(run.Key) is { } stream)
                stream.Accept(run);
            else
                counters.AddLate(run.Tokens.Count);
        }
    }

    private RequestStream? Find(Wire.SequenceKey? key) => key is null ? null : Find(key.RequestId, (int)key.Choice);

    /// <summary>Ends every stream with the same error.</summary>
    public void FailAll(ErrorCode code, string message)
    {
        foreach (var stream in _streams.Values) stream.TryEnd(new StreamEnd.Failed(code, message));
    }
}
