using Krewe.Abstractions;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Workers;

/// <summary>Translates between the wire's messages and our own units.</summary>
internal static class WireNames
{
    public static SequenceKey FromWire(this Wire.SequenceKey? key) =>
        key is null ? default : new SequenceKey(key.RequestId, (int)key.Choice, (int)key.Epoch);

    public static Wire.SequenceKey ToWire(this SequenceKey key) => new()
    {
        RequestId = key.RequestId ?? "",
        Choice = (uint)key.Choice,
        Epoch = (uint)key.Epoch,
    };

    public static Wire.KvGeometry ToWire(this KvGeometry geometry) => new()
    {
        Layers = (uint)geometry.Layers,
        KvHeads = (uint)geometry.KvHeads,
        HeadDim = (uint)geometry.HeadDim,
        BlockTokens = (uint)geometry.BlockTokens,
        Format = geometry.Format.ToString(),
    };

    public static Wire.WorkerRole ToWire(this WorkerRole role) => role switch
    {
        WorkerRole.Prefill => Wire.WorkerRole.Prefill,
        WorkerRole.Decode => Wire.WorkerRole.Decode,
        WorkerRole.Mixed => Wire.WorkerRole.Mixed,
        _ => throw new ArgumentOutOfRangeException(nameof(role), role, "A role without a wire value."),
    };

    /// <summary>Null for a role of a newer version.</summary>
    public static WorkerRole? FromWire(this Wire.WorkerRole role) => role switch
    {
        Wire.WorkerRole.Prefill => WorkerRole.Prefill,
        Wire.WorkerRole.Decode => WorkerRole.Decode,
        Wire.WorkerRole.Mixed => WorkerRole.Mixed,
        _ => null,
    };

    /// <summary>An error code's name; null when the name is empty or of a newer version.</summary>
    public static ErrorCode? ParseErrorCode(string name) =>
        Enum.TryParse<ErrorCode>(name, out var code) && Enum.IsDefined(code) ? code : null;
}
