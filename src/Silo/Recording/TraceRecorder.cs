using System.Buffers;
using System.Security.Cryptography;
using System.Text.Json;
using Krewe.Abstractions;
using Krewe.Control.Kv;
using Krewe.Silo.Gateway.Requests;
using Microsoft.Extensions.Logging;

namespace Krewe.Silo.Recording;

/// <summary>
/// Writes what the silo served as a trace that the simulator and <c>krewe replay</c> read: one JSON line a sequence, in
/// order of arrival. No prompt is in it: equal beginnings show as equal block ids, which are hashes under a key that is
/// drawn for this recording and forgotten.
/// </summary>
internal sealed partial class TraceRecorder : IDisposable
{
    /// <summary>Block ids are whole numbers that every reader of JSON keeps exactly.</summary>
    private const ulong IdMask = (1UL << 53) - 1;

    private readonly Lock _gate = new();
    private readonly Queue<TraceEntry> _open = [];
    private readonly Dictionary<string, int> _tenants = new(StringComparer.Ordinal);
    private readonly PrefixHash _root = PrefixHash.Root(
        "trace", Convert.ToHexString(RandomNumberGenerator.GetBytes(32)));

    private readonly int _blockTokens;
    private readonly TimeProvider _time;
    private readonly ILogger<TraceRecorder> _log;
    private readonly FileStream? _file;
    private readonly long _start;

    /// <summary>Throws <see cref="KreweException"/> (InvalidOptions) when the file cannot be written.</summary>
    public TraceRecorder(SiloOptions options, TimeProvider time, ILogger<TraceRecorder> log)
    {
        (_blockTokens, _time, _log, _start) = (options.Cluster.BlockTokens, time, log, time.GetTimestamp());
        if (options.RecordFile is not { } path) return;
        try
        {
            _file = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.Read);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KreweException(
                ErrorCode.InvalidOptions, $"The trace cannot be recorded to {path}: {e.Message}", innerException: e);
        }
    }

    /// <summary>A request that was let in: one entry a sequence, each to be closed. Null when nothing is recorded.
    /// </summary>
    public TraceEntry[]? Open(GenerationRequest request)
    {
        if (_file is null) return null;
        var now = _time.GetElapsedTime(_start).TotalMilliseconds;
        lock (_gate)
        {
            if (!_tenants.TryGetValue(request.Tenant.Name, out var tenant))
                _tenants.Add(request.Tenant.Name, tenant = _tenants.Count);
            TraceEntry[] entries = [.. request.Specs.Select(spec => new TraceEntry(
                now, spec.PromptTokens.Length, tenant, BlocksOf(spec)))];
            foreach (var entry in entries) _open.Enqueue(entry);
            return entries;
        }
    }

    /// <summary>The sequences have ended with so many output tokens; none at all are left out of the trace.</summary>
    public void Close(TraceEntry[]? entries, IReadOnlyList<int> outputTokens)
    {
        if (entries is null) return;
        lock (_gate)
        {
            for (var i = 0; i < entries.Length; i++) entries[i].OutputTokens = outputTokens.ElementAtOrDefault(i);
            // In order of arrival: one that still runs holds back those behind it.
            while (_open.TryPeek(out var first) && first.OutputTokens is { } tokens)
            {
                _open.Dequeue();
                if (tokens > 0) Write(first, tokens);
            }
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            foreach (var entry in _open.Where(entry => entry.OutputTokens > 0)) Write(entry, entry.OutputTokens!.Value);
            _open.Clear();
            _file?.Dispose();
        }
    }

    private long[] BlocksOf(RequestSpec spec)
    {
        var chain = new PrefixChain(_root, _blockTokens);
        chain.Cover(spec.PromptTokens.AsSpan());
        var ids = new long[chain.Hashes.Length];
        for (var i = 0; i < ids.Length; i++) ids[i] = (long)((ulong)chain.Hashes[i].Value & IdMask);
        return ids;
    }

    private void Write(TraceEntry entry, int outputTokens)
    {
        var line = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(line))
        {
            json.WriteStartObject();
            json.WriteNumber("arrival_ms", Math.Round(entry.ArrivalMs, 3));
            json.WriteNumber("prompt_tokens", entry.PromptTokens);
            json.WriteNumber("output_tokens", outputTokens);
            json.WriteNumber("tenant", entry.Tenant);
            json.WriteNumber("block_tokens", _blockTokens);
            json.WriteStartArray("blocks");
            foreach (var id in entry.Blocks) json.WriteNumberValue(id);
            json.WriteEndArray();
            json.WriteEndObject();
        }

        line.Write("\n"u8);
        try
        {
            _file!.Write(line.WrittenSpan);
            _file.Flush();
        }
        catch (IOException e)
        {
            LogUnwritten(_log, e);
        }
    }

    [LoggerMessage(80, LogLevel.Error, "A line of the recorded trace was not written")]
    private static partial void LogUnwritten(ILogger log, Exception error);
}

/// <summary>A sequence that was let in. <see cref="OutputTokens"/> null = it has not ended.</summary>
internal sealed record TraceEntry(double ArrivalMs, int PromptTokens, int Tenant, long[] Blocks)
{
    public int? OutputTokens { get; set; }
}
