using System.Collections.Concurrent;
using Krewe.Abstractions;
using Microsoft.Extensions.Logging;
using Orleans;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Streams;

/// <summary>The live requests of this silo's gateway, by id.</summary>
internal sealed class RequestStreams(IGrainFactory grains, StreamCounters counters, ILogger<RequestStreams> log)
{
    private readonly ConcurrentDictionary<string, RequestStream> _streams = new(StringComparer.Ordinal);

    public int Count => _streams.Count;

    /// <summary>Opens the stream of a new request. Throws <see cref="KreweException"/> when its id is in use.</summary>
    public RequestStream Open(string requestId)
    {
        var reports = new RequestReports(grains.GetGrain<IRequestGrain>(requestId), requestId, log);
        var stream = new RequestStream(requestId, reports, counters);
        return _streams.TryAdd(requestId, stream)
            ? stream
            : throw new KreweException(
                ErrorCode.DuplicateRequestId,
                $"A request with the id '{requestId}' is running. Send another X-Request-Id, or none.");
    }

    /// <summary>The live stream; null when it was closed or belongs to another silo.</summary>
    public RequestStream? Find(string requestId) => _streams.GetValueOrDefault(requestId);

    /// <summary>Output tokens that the owner of this sequence has; 0 when its stream is not here.</summary>
    public int TokenCountOf(RequestSpec spec) => Find(spec.RequestId)?.TokenCount ?? 0;

    /// <summary>Ends the stream if it lives, and forgets it: later tokens of it are counted as late.</summary>
    public void Close(RequestStream stream)
    {
        stream.TryEnd(new StreamEnd.Closed());
        _streams.TryRemove(new KeyValuePair<string, RequestStream>(stream.RequestId, stream));
    }

    /// <summary>Hands each run of a worker's batch to its owner.</summary>
    public void Accept(Wire.TokenBatch batch)
    {
        foreach (var run in batch.Runs)
        {
            if (run.Key is { } key && Find(key.RequestId) is { } stream)
                stream.Accept(run);
            else
                counters.AddLate(run.Tokens.Count);
        }
    }

    /// <summary>Ends every stream with the same error.</summary>
    public void FailAll(ErrorCode code, string message)
    {
        foreach (var stream in _streams.Values) stream.TryEnd(new StreamEnd.Failed(code, message));
    }
}
