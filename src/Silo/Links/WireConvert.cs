using Krewe.Abstractions;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Links;

/// <summary>Between the messages of control.proto and the records that grains and Control use.</summary>
internal static class WireConvert
{
    public static Wire.SequenceKey ToWire(SequenceKey key) => new()
    {
        RequestId = key.RequestId,
        Choice = (uint)key.Choice,
        Epoch = (uint)key.Epoch,
    };

    public static SequenceKey FromWire(Wire.SequenceKey key) => new(key.RequestId, (int)key.Choice, (int)key.Epoch);

    /// <summary>Keys and values of one token in all layers, bytes; 0 for a format of a newer version.</summary>
    public static int KvBytesPerToken(Wire.KvGeometry kv) => Enum.TryParse<KvFormat>(kv.Format, out var format)
        ? new KvGeometry((int)kv.Layers, (int)kv.KvHeads, (int)kv.HeadDim, (int)kv.BlockTokens, format).BlockBytes
            / (int)kv.BlockTokens
        : 0;

    public static WorkerRole? FromWire(Wire.WorkerRole role) => role switch
    {
        Wire.WorkerRole.Prefill => WorkerRole.Prefill,
        Wire.WorkerRole.Decode => WorkerRole.Decode,
        Wire.WorkerRole.Mixed => WorkerRole.Mixed,
        _ => null,
    };

    public static Wire.WorkerRole ToWire(WorkerRole role) => role switch
    {
        WorkerRole.Prefill => Wire.WorkerRole.Prefill,
        WorkerRole.Decode => Wire.WorkerRole.Decode,
        WorkerRole.Mixed => Wire.WorkerRole.Mixed,
        _ => throw new ArgumentOutOfRangeException(nameof(role), role, "A role without a wire value."),
    };

    /// <summary>The whole attempt but its part and source.</summary>
    public static Wire.StartSequence ToStart(
        RequestSpec spec, SequenceKey key, IEnumerable<int> outputTokens, TimeSpan lease)
    {
        var start = new Wire.StartSequence
        {
            Key = ToWire(key),
            Sampling = ToWire(spec.Sampling),
            MaxOutputTokens = (uint)spec.MaxOutputTokens,
            IgnoreEos = spec.IgnoreEos,
            MinOutputTokens = (uint)spec.MinOutputTokens,
            Priority = spec.Priority,
            LeaseMs = (uint)lease.TotalMilliseconds,
            PrefixSalt = spec.PrefixSalt,
            Traceparent = spec.TraceParent ?? "",
        };
        start.PromptTokens.Capacity = spec.PromptTokens.Length;
        foreach (var token in spec.PromptTokens) start.PromptTokens.Add((uint)token);
        start.OutputTokens.AddRange(outputTokens.Select(token => (uint)token));
        start.StopTokens.AddRange(spec.StopTokens.Select(token => (uint)token));
        return start;
    }

    /// <summary>The report that an event is to its request's grain; null for a kind of a newer protocol.</summary>
    public static RequestReport? ToReport(Wire.SequenceEvent happened, WorkerIncarnation worker)
    {
        RequestReportKind? kind = happened.Kind switch
        {
            Wire.SequenceEventKind.Accepted => RequestReportKind.Accepted,
            Wire.SequenceEventKind.PrefillStarted => RequestReportKind.PrefillStarted,
            Wire.SequenceEventKind.PrefillFinished => RequestReportKind.PrefillFinished,
            Wire.SequenceEventKind.HandoffStarted => RequestReportKind.HandoffStarted,
            Wire.SequenceEventKind.HandoffCommitted => RequestReportKind.HandoffCommitted,
            Wire.SequenceEventKind.DecodeStarted => RequestReportKind.DecodeStarted,
            Wire.SequenceEventKind.Released => RequestReportKind.Released,
            Wire.SequenceEventKind.Failed => RequestReportKind.AttemptFailed,
            Wire.SequenceEventKind.MigrationStarted => RequestReportKind.MigrationStarted,
            Wire.SequenceEventKind.MigrationCommitted => RequestReportKind.MigrationCommitted,
            Wire.SequenceEventKind.MigrationAborted => RequestReportKind.MigrationAborted,
            _ => null,
        };
        if (kind is not { } known) return null;
        var failed = known == RequestReportKind.AttemptFailed;
        return new RequestReport
        {
            Kind = known,
            Epoch = (int)happened.Key.Epoch,
            Worker = worker,
            Error = failed ? ParseError(happened.ErrorCode) : null,
            Message = failed || known == RequestReportKind.MigrationAborted ? happened.Message : null,
            PrefixHitTokens = (int)happened.PrefixHitTokens,
            BlocksMoved = (int)happened.BlocksMoved,
            BytesMoved = (long)happened.BytesMoved,
            RestoredBlocks = (int)happened.RestoredBlocks,
        };
    }

    /// <summary>A worker of a newer version may have a code that this silo does not know.</summary>
    private static ErrorCode ParseError(string name) =>
        Enum.TryParse<ErrorCode>(name, out var code) && Enum.IsDefined(code) ? code : ErrorCode.EngineFault;

    private static Wire.SamplingParameters ToWire(SamplingSpec spec)
    {
        var sampling = new Wire.SamplingParameters
        {
            Temperature = spec.Temperature,
            TopP = spec.TopP,
            TopK = (uint)(spec.TopK ?? 0),
            MinP = spec.MinP,
            Seed = unchecked((ulong)spec.Seed),
            PresencePenalty = spec.PresencePenalty,
            FrequencyPenalty = spec.FrequencyPenalty,
            RepetitionPenalty = spec.RepetitionPenalty,
            Choice = (uint)spec.Choice,
            Constraint = spec.Constraint,
            ThoughtLimit = spec.ThoughtLimit,
        };
        if (spec.PromptLogprobs is { } prompt) sampling.PromptLogprobs = (uint)prompt;
        if (spec.TopLogprobs is { } top) sampling.TopLogprobs = (uint)top;
        foreach (var (token, bias) in spec.LogitBias ?? []) sampling.LogitBias.Add((uint)token, bias);
        return sampling;
    }
}
