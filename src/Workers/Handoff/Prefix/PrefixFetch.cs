using System.Diagnostics.CodeAnalysis;
using Krewe.Abstractions.Wire;
using Krewe.Control.Handoff;
using Krewe.Control.Links;
using Piece = Krewe.Control.Handoff.Piece;

namespace Krewe.Workers;

/// <summary>
/// The puller's side of a prefix fetch. It never fails a request: what came whole is used, the rest is computed.
/// </summary>
[SuppressMessage("Design", "CA1001:Types that own disposable fields should be disposable",
    Justification = "The engine may cancel a fetch that has just ended; a disposed token source would throw there.")]
internal sealed partial class PrefixFetch(
    PrefixRequest request, IBlockTransport transport, IKvArena arena, WorkerIdentity identity, TimeProvider time,
    ILogger logger) : IActivePull
{
    private readonly CancellationTokenSource _cancelled = new();
    private PieceCursor _cursor = PieceCursor.Begin(arena.Geometry.Layers);
    private Piece? _placed;
    private int _offered;
    private int _whole;
    private long _bytes;

    public void Cancel(string reason) => _ = _cancelled.CancelAsync();

    /// <summary>Runs to the end and reports once. Does not throw.</summary>
    public async Task RunAsync(Action<PrefixResult> ended)
    {
        var begun = time.GetTimestamp();
        string? reason = null;
        try
        {
            using var patience = new Patience(request.Patience, time, _cancelled.Token);
            var bytes = (long)request.Hashes.Length * arena.Geometry.BlockBytes;
            using var channel = await transport.ConnectAsync(request.Source, bytes, patience.Renewed());
            await channel.SendAsync(new DataMessage { FetchPrefix = Wanted() }, patience.Renewed());
            await TakeOfferAsync(channel, patience);
            while (_whole < _offered) await TakePieceAsync(channel, patience);
        }
        catch (Exception e) when (e is FrameException or IOException or OperationCanceledException)
        {
            reason = e.Message;
            LogEndedEarly(logger, request.Source.WorkerId, _whole, request.Hashes.Length, reason);
        }

        ended(new PrefixResult(_whole, _bytes, time.GetElapsedTime(begun), reason));
    }

    private async Task TakeOfferAsync(IDataChannel channel, Patience patience)
    {
        var answer = await channel.ReceiveAsync(patience.Renewed())
            ?? throw new IOException("The holder closed the link.");
        if (answer.Abort is { } abort) throw new IOException(abort.Message);
        if (answer.PrefixOffer is not { } offer || offer.Blocks > request.Hashes.Length)
        {
            throw new FrameException(
                $"{answer.BodyCase} instead of an offer of at most {request.Hashes.Length} blocks.");
        }


        _offered = (int)offer.Blocks;
    }

    private async Task TakePieceAsync(IDataChannel channel, Patience patience)
    {
        var message = await channel.ReceiveAsync(RoomFor, patience.Renewed())
            ?? throw new IOException("The holder closed the link.");
        if (message.Piece is null) throw new FrameException($"{message.BodyCase} in the middle of a prefix.");
        var piece = message.Piece.FromWire();
        if (_placed != piece) throw new FrameException($"{piece} came without its bytes.");
        _placed = null;
        _cursor = _cursor.Take(piece, out _);
        _bytes += (long)piece.Blocks * piece.Layers * arena.Geometry.LayerBytes;

        // A holder sends blocks whole: what came is of use whatever happens to the rest.
        if (piece.Layers == arena.Geometry.Layers) _whole = piece.FirstBlock + piece.Blocks;
        else if (_cursor == PieceCursor.Begin(arena.Geometry.Layers)) _whole = _offered;
    }

    private ReadOnlyMemory<BlockSlice> RoomFor(DataMessage message, int payloadBytes)
    {
        if (message.Piece is null)
            throw new FrameException($"{message.BodyCase} with {payloadBytes} bytes of payload.");
        var piece = message.Piece.FromWire();
        if (_cursor.Demand(piece) != new BlockRun(0, _offered))
            throw new FrameException($"{piece} is not of the {_offered} blocks that were offered.");
        _placed = piece;
        return BlockSlice.Of(piece, request.Blocks, offset: 0, arena.Geometry);
    }

    private FetchPrefix Wanted() => new()
    {
        Protocol = ProtocolVersion.Oldest,
        WorkerId = identity.WorkerId,
        SourceIncarnation = request.Source.Incarnation,
        ModelFingerprint = identity.ModelFingerprint,
        Numerics = identity.Numerics.ToString(),
        Kv = identity.Geometry.ToWire(),
        PatienceMs = (uint)request.Patience.TotalMilliseconds,
        Hashes = PrefixHashes.Write(request.Hashes),
    };

    [LoggerMessage(LogLevel.Information,
        "Step 4: of a prefix at {Holder}, {Whole} of {Wanted} blocks came; the rest is computed: {Reason}")]
    private static partial void LogEndedEarly(ILogger logger, string holder, int whole, int wanted, string reason);
}
