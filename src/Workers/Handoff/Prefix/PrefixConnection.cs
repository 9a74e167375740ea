using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Control.Handoff;
using Krewe.Control.Links;

namespace Krewe.Workers;

/// <summary>
/// The holder's side of a prefix fetch: the engine pins what its cache has of the wanted blocks, they are sent, and the
/// pins last exactly as long as the link. A puller that hangs is cut after its own patience.
/// </summary>
internal sealed partial class PrefixConnection(
    IDataChannel channel, FetchPrefix wanted, WorkerIdentity identity, Action<EngineCommand> post, TimeProvider time,
    ILogger logger) : ILinkHandler
{
    private const uint PatienceMsMin = 30;

    private readonly TaskCompletionSource<BlockId[]> _pinned =
        new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The engine's answer: leading blocks of the wanted ones, pinned until the link ends.</summary>
    public void Pinned(BlockId[] blocks) => _pinned.TrySetResult(blocks);

    public async Task RunAsync(CancellationToken stopping)
    {
        var asked = false;
        var limit = TimeSpan.FromMilliseconds(Math.Max(PatienceMsMin, wanted.PatienceMs));
        using var patience = new Patience(limit, time, stopping);
        try
        {
            if (Mismatch() is { } mismatch)
            {
                LogRefused(logger, wanted.WorkerId, mismatch);
                await channel.SendAsync(new DataMessage
                {
                    Abort = new HandoffAbort { ErrorCode = nameof(ErrorCode.HandoffRefused), Message = mismatch },
                }, patience.Token);
            }
            else
            {
                var hashes = PrefixHashes.Read(wanted.Hashes);
                asked = true;
                post(new EngineCommand.PrefixWanted(this, hashes));
                await SendAsync(await _pinned.Task.WaitAsync(patience.Token), patience);
            }

            // The puller closes when it has everything: until then it may be reading.
            channel.FinishSending();
            await channel.ReceiveAsync(patience.Renewed());
        }
        catch (Exception e) when (e is FrameException or IOException or OperationCanceledException)
        {
            LogEnded(logger, wanted.WorkerId, e.Message);
        }
        finally
        {
            channel.Dispose();
            if (asked) post(new EngineCommand.PrefixReleased(this));
        }
    }

    private async Task SendAsync(BlockId[] blocks, Patience patience)
    {
        await channel.SendAsync(
            new DataMessage { PrefixOffer = new PrefixOffer { Blocks = (uint)blocks.Length } }, patience.Renewed());
        if (blocks.Length == 0) return;
        var sender = new RunSender(channel, identity.Geometry);
        await sender.SendAsync(
            new BlockRun(0, blocks.Length), blocks, progress: null, () =>
            {
                patience.Renewed();
                return Task.FromResult(true);
            },
            patience.Token);
    }

    private string? Mismatch()
    {
        if (wanted.Protocol != ProtocolVersion.Oldest)
            return Differs("protocol", wanted.Protocol, ProtocolVersion.Oldest);
        if (wanted.SourceIncarnation != identity.Incarnation)
            return Differs("incarnation", wanted.SourceIncarnation, identity.Incarnation);
        if (wanted.ModelFingerprint != identity.ModelFingerprint)
            return Differs("model", wanted.ModelFingerprint, identity.ModelFingerprint);
        if (wanted.Numerics != identity.Numerics.ToString())
            return Differs("numerics", wanted.Numerics, identity.Numerics);
        var geometry = identity.Geometry.ToWire();
        return geometry.Equals(wanted.Kv) ? null : Differs("KV geometry", wanted.Kv, geometry);
    }

    private string Differs(string what, object? theirs, object ours) =>
        $"The puller expects {what} {theirs}; worker {identity.WorkerId} has {ours}.";

    [LoggerMessage(LogLevel.Debug, "Step 4: a prefix fetch of {Puller} ended: {Reason}")]
    private static partial void LogEnded(ILogger logger, string puller, string reason);

    [LoggerMessage(LogLevel.Warning, "Step 4: the prefix fetch of worker {Puller} is refused: {Reason}")]
    private static partial void LogRefused(ILogger logger, string puller, string reason);
}
