using Krewe.Abstractions;
using Krewe.Silo.Hosting;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Links;

/// <summary>Why a hello is refused: what differs, both values, what to change.</summary>
internal sealed record HelloRefusal(ErrorCode Code, string Message);

/// <summary>
/// Which workers may attach: those that would compute the same bits of the same model. The first worker's numerics
/// decide for this silo's life, because accepted tokens of a live request were computed under them.
/// </summary>
internal sealed class HelloPolicy(ServedModel model, SiloOptions options)
{
    private readonly Lock _gate = new();
    private string? _numerics;
    private string? _kvFormat = options.KvFormat?.ToString();

    /// <summary>Null = welcome; then later workers must equal this one.</summary>
    public HelloRefusal? Check(Wire.Hello hello)
    {
        lock (_gate)
        {
            if (CheckIdentity(hello) is { } stranger) return stranger;
            if (CheckModel(hello) is { } otherModel) return otherModel;
            if (CheckGeometry(hello) is { } otherShape) return otherShape;
            if (_numerics is not null && hello.Numerics != _numerics)
            {
                return new HelloRefusal(
                    ErrorCode.NumericsMismatch,
                    $"The worker computes with {hello.Numerics}, the workers of this cluster with {_numerics}: their "
                    + "tokens could differ. Start it with the same device and formats on the same kind of CPU, or "
                    + "restart the silo.");
            }

            _numerics = hello.Numerics;
            _kvFormat = hello.Kv.Format;
            return null;
        }
    }

    private static HelloRefusal? CheckIdentity(Wire.Hello hello)
    {
        if (Wire.ProtocolVersion.Negotiate(hello.Protocol, hello.NewestProtocol) is null)
        {
            return new HelloRefusal(
                ErrorCode.ProtocolMismatch,
                $"The worker speaks protocol {hello.Protocol} to {Math.Max(hello.Protocol, hello.NewestProtocol)}, the "
                + $"silo {Wire.ProtocolVersion.Oldest} to {Wire.ProtocolVersion.Newest}. Upgrade the older of the two; "
                + "neighbouring versions of Krewe work together.");
        }

        if (string.IsNullOrWhiteSpace(hello.WorkerId))
            return new HelloRefusal(ErrorCode.ProtocolMismatch, "The worker's id is empty. Give it a name with --id.");
        if (WireConvert.FromWire(hello.Role) is null)
        {
            return new HelloRefusal(
                ErrorCode.ProtocolMismatch,
                $"The role {hello.Role} of the worker is not known here; known are prefill, decode and mixed.");
        }

        return hello.Role != Wire.WorkerRole.Decode && (hello.DataHost.Length == 0 || hello.DataPort is 0 or > 65535)
            ? new HelloRefusal(
                ErrorCode.ProtocolMismatch,
                $"The worker's data address '{hello.DataHost}:{hello.DataPort}' cannot be reached; decode workers pull "
                + "blocks there. Give it one with --data-host and --data-port.")
            : null;
    }

    private HelloRefusal? CheckModel(Wire.Hello hello)
    {
        if (hello.ModelName != model.Name)
        {
            return new HelloRefusal(
                ErrorCode.ModelMismatch,
                $"The worker serves the model '{hello.ModelName}', the silo '{model.Name}'. Start both with the same "
                + "--model and --served-model-name.");
        }

        if (hello.ModelFingerprint != model.Fingerprint)
        {
            return new HelloRefusal(
                ErrorCode.ModelMismatch,
                $"The worker's model folder has the fingerprint {hello.ModelFingerprint}, the silo's "
                + $"{model.Fingerprint}: their files differ. Give both the same content of '{model.Name}'.");
        }

        return hello.MaxContextTokens < model.MaxContextTokens
            ? new HelloRefusal(
                ErrorCode.ModelMismatch,
                $"The worker takes contexts of {hello.MaxContextTokens} tokens, the silo promises clients "
                + $"{model.MaxContextTokens}. Start both with the same model.")
            : null;
    }

    private HelloRefusal? CheckGeometry(Wire.Hello hello)
    {
        var config = model.Folder.Config;
        // A worker that sends none gets an answer that says so, not a broken link.
        var kv = hello.Kv ?? new Wire.KvGeometry();
        var there = Describe(kv.Layers, kv.KvHeads, kv.HeadDim, kv.BlockTokens, kv.Format);
        var here = Describe(
            (uint)config.Layers, (uint)config.KvHeads, (uint)config.HeadDim, (uint)options.Cluster.BlockTokens,
            _kvFormat ?? kv.Format);
        var known = Enum.TryParse<KvFormat>(kv.Format, out var format) && Enum.IsDefined(format);
        if (there == here && known && hello.TotalBlocks > 0) return null;
        if (there == here && known)
        {
            return new HelloRefusal(
                ErrorCode.KvGeometryMismatch, "The worker has 0 KV blocks. Give it more memory with --kv-memory.");
        }

        return new HelloRefusal(
            ErrorCode.KvGeometryMismatch,
            $"The worker's KV blocks are {there}, this cluster's are {here}: blocks could not move. Start it with the "
            + "cluster's --block-tokens and --kv-format.");
    }

    private static string Describe(uint layers, uint kvHeads, uint headDim, uint blockTokens, string format) =>
        $"{layers} layers x {kvHeads} KV heads x {headDim} dims, {blockTokens} tokens a block, {format}";
}
