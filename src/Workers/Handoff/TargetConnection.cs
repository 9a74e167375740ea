using System.Diagnostics.CodeAnalysis;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Control.Handoff;
using Krewe.Control.Links;
using KvGeometry = Krewe.Abstractions.KvGeometry;
using Piece = Krewe.Control.Handoff.Piece;
using SequenceKey = Krewe.Abstractions.SequenceKey;

namespace Krewe.Workers;

/// <summary>
/// The target's end of a link over which a sequence comes (handoff, migration): connects to the source, takes blocks
/// into the arena, waits for the source to have read the commit. It reports an end only when nothing can write into
/// the blocks any more.
/// </summary>
/// <param name="key">The sequence, under the epoch that the target runs.</param>
/// <param name="source">Where it is.</param>
/// <param name="leaseLife">Silence after which the source is given up.</param>
[SuppressMessage("Design", "CA1001:Types that own disposable fields should be disposable",
    Justification = "The engine may cancel one that has just ended; a disposed token source would throw there.")]
internal abstract partial class TargetConnection(
    SequenceKey key, DataAddress source, TimeSpan leaseLife, IBlockTransport transport, IKvArena arena,
    TimeProvider time, ILogger logger) : IActivePull
{
    private readonly CancellationTokenSource _cancelled = new();
    private PieceCursor _cursor = PieceCursor.Begin(arena.Geometry.Layers);
    private Piece? _placed;

    /// <summary>Blocks are on their way.</summary>
    protected abstract bool IsCopying { get; }

    /// <summary>The sequence is this worker's.</summary>
    protected abstract bool IsCommitted { get; }

    /// <summary>Blocks that are to come, as far as is known at the start.</summary>
    protected abstract int MissingBlocks { get; }

    /// <summary>The target's blocks by logical index.</summary>
    protected abstract BlockId[] Blocks { get; }

    protected KvGeometry Geometry => arena.Geometry;

    /// <summary>Fires when the engine wants the sequence no more.</summary>
    protected CancellationToken Cancelled => _cancelled.Token;

    public void Cancel(string reason)
    {
        LogCancelled(logger, key, reason);

        // On the engine thread: this side's own code must not run there.
        _ = _cancelled.CancelAsync();
    }

    /// <summary>Runs to the end. Does not throw.</summary>
    protected async Task RunToEndAsync()
    {
        IDataChannel? channel = null;
        try
        {
            using var patience = new Patience(leaseLife, time, _cancelled.Token);
            try
            {
                var bytes = (long)MissingBlocks * Geometry.BlockBytes;
                channel = await transport.ConnectAsync(source, bytes, patience.Renewed());
                await MoveAsync(channel, patience);
            }
            catch (Exception e) when (Explain(e, patience) is not null)
            {
                var (code, reason) = Explain(e, patience)!.Value;
                using var grace = new Patience(HandoffLimits.ClosingGrace, time, CancellationToken.None);
                await EndAsync(channel, code, reason, grace.Token);
            }

            if (IsCommitted) await CloseAfterCommitAsync(channel!);
        }
        finally
        {
            channel?.Dispose();
            await LinkClosedAsync();
        }
    }

    /// <summary>What the source hears first.</summary>
    protected abstract DataMessage Hello();

    /// <summary>The link stands and the source has been greeted.</summary>
    protected abstract Task LinkUpAsync(IDataChannel channel, CancellationToken cancellationToken);

    /// <summary>Takes a message of the source, except for its signs of life and its abort.</summary>
    /// <exception cref="FrameException">It is the target's to say, or wrong.</exception>
    protected abstract Task TakeAsync(IDataChannel channel, DataMessage message, CancellationToken cancellationToken);

    /// <summary>
    /// The transfer ends without its blocks. <paramref name="code"/> null: nothing is wrong, there is nothing to take.
    /// </summary>
    /// <param name="channel">Where the source hears of it; null: it knows, or cannot.</param>
    protected abstract Task EndAsync(
        IDataChannel? channel, ErrorCode? code, string reason, CancellationToken cancellationToken);

    /// <summary>The commit is sent.</summary>
    protected abstract void Committed();

    /// <summary>The link is gone: nothing can write into the blocks any more.</summary>
    protected abstract Task LinkClosedAsync();

    /// <exception cref="FrameException">The run was not asked for, or is not the next.</exception>
    protected abstract void DemandAsked(BlockRun run);

    /// <summary>Takes a piece whose bytes are in their place.</summary>
    /// <returns>The run that it completes, if it does.</returns>
    /// <exception cref="FrameException">No bytes came with it.</exception>
    protected BlockRun? TakePiece(Piece piece)
    {
        if (_placed != piece) throw new FrameException($"{piece} came without its bytes.");
        _placed = null;
        _cursor = _cursor.Take(piece, out var finished);
        return finished;
    }

    /// <param name="isNeeded">
    /// Without it nothing goes on. An abort is not, a courtesy on a link that may be broken; nor is a commit: a lost
    /// one costs the source a lease, nobody a token.
    /// </param>
    protected async Task SendAsync(
        IDataChannel? channel, DataMessage message, bool isNeeded, CancellationToken cancellationToken)
    {
        if (channel is null) return;
        try
        {
            await channel.SendAsync(message, cancellationToken);
        }
        catch (Exception e) when (!isNeeded && e is IOException or OperationCanceledException)
        {
            LogUnsaid(logger, key, message.BodyCase, e.Message);
        }
    }

    protected static DataMessage AbortMessage(ErrorCode? code, string reason) =>
        new() { Abort = new HandoffAbort { ErrorCode = code?.ToString() ?? "", Message = reason } };

    private async Task MoveAsync(IDataChannel channel, Patience patience)
    {
        await channel.SendAsync(Hello(), patience.Renewed());
        await LinkUpAsync(channel, patience.Renewed());
        using var renewing = CancellationTokenSource.CreateLinkedTokenSource(patience.Token);
        var renewal = channel.RenewAsync(leaseLife, time, renewing.Token);
        try
        {
            while (IsCopying)
            {
                var message = await channel.ReceiveAsync(RoomFor, patience.Renewed())
                    ?? throw new IOException("The source closed the data link.");
                if (message.Abort is { } abort) await EndBySourceAsync(abort, patience.Renewed());
                else if (message.Renew is null) await TakeAsync(channel, message, patience.Renewed());
            }
        }
        finally
        {
            await renewing.CancelAsync();
            await renewal;
        }
    }

    // An abort without a code: the stream ended, stays where it is, or its owner wants it no more.
    private Task EndBySourceAsync(HandoffAbort abort, CancellationToken cancellationToken) => EndAsync(
        null,
        abort.ErrorCode.Length == 0 ? null : WireNames.ParseErrorCode(abort.ErrorCode) ?? ErrorCode.HandoffRefused,
        abort.Message,
        cancellationToken);

    /// <summary>Decoding begins at once; the link only waits for the source to have read the commit.</summary>
    private async Task CloseAfterCommitAsync(IDataChannel channel)
    {
        Committed();
        using var patience = new Patience(HandoffLimits.ClosingGrace, time, _cancelled.Token);
        try
        {
            while (await channel.ReceiveAsync(patience.Token) is { } last)
            {
                if (last.BodyCase == DataMessage.BodyOneofCase.Committed) return;
            }
        }
        catch (Exception e) when (Explain(e, patience) is not null)
        {
            LogUnsaid(logger, key, DataMessage.BodyOneofCase.Committed, e.Message);
        }
    }

    /// <summary>A piece's place: only blocks that are missing, were asked for and are next are ever written.</summary>
    private ReadOnlyMemory<BlockSlice> RoomFor(DataMessage message, int payloadBytes)
    {
        if (message.Piece is null)
            throw new FrameException($"{message.BodyCase} with {payloadBytes} bytes of payload.");
        var piece = message.Piece.FromWire();
        DemandAsked(_cursor.Demand(piece));
        _placed = piece;
        return BlockSlice.Of(piece, Blocks, offset: 0, Geometry);
    }

    private (ErrorCode? Code, string Reason)? Explain(Exception e, Patience patience) => e switch
    {
        OperationCanceledException when _cancelled.IsCancellationRequested => (null, "The sequence was ended here."),
        OperationCanceledException when patience.IsOver => (ErrorCode.HandoffTimeout,
            $"The source {source.WorkerId} was silent for {leaseLife.TotalMilliseconds} ms."),
        FrameException => (ErrorCode.HandoffCorrupt, e.Message),
        IOException => (ErrorCode.HandoffSourceLost, e.Message),
        _ => null,
    };

    [LoggerMessage(LogLevel.Debug, "The transfer of {Key} to here is cancelled: {Reason}")]
    private static partial void LogCancelled(ILogger logger, SequenceKey key, string reason);

    [LoggerMessage(LogLevel.Debug, "{Key}: {Message} got lost: {Reason}")]
    private static partial void LogUnsaid(
        ILogger logger, SequenceKey key, DataMessage.BodyOneofCase message, string reason);
}
