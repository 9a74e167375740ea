using System.Threading.Channels;
using Krewe.Abstractions.Wire;

namespace Krewe.Workers;

/// <summary>Notes when the moments of one request came.</summary>
internal sealed class WaitingOwner(TimeProvider time) : ISequenceOwner
{
    private readonly Channel<(SequenceEventKind Kind, long Timestamp)> _moments =
        Channel.CreateUnbounded<(SequenceEventKind, long)>();

    private string? _failure;

    /// <summary>Set with the moment <see cref="SequenceEventKind.HandoffCommitted"/>.</summary>
    public long BytesMoved { get; private set; }

    /// <summary>When the first token came; null before.</summary>
    public long? FirstToken { get; private set; }

    public void Deliver(TokenBatch tokens) => FirstToken ??= time.GetTimestamp();

    public void Deliver(SequenceEvent change)
    {
        if (change.Kind == SequenceEventKind.Failed) _failure = $"{change.ErrorCode}: {change.Message}";
        if (change.Kind == SequenceEventKind.HandoffCommitted) BytesMoved = (long)change.BytesMoved;
        _moments.Writer.TryWrite((change.Kind, time.GetTimestamp()));
    }

    /// <summary>The timestamp of a moment. Throws when the request failed.</summary>
    public async Task<long> WhenAsync(SequenceEventKind kind, CancellationToken cancellationToken)
    {
        while (true)
        {
            var moment = await _moments.Reader.ReadAsync(cancellationToken);
            if (_failure is not null)
                throw new Krewe.Abstractions.KreweException(Krewe.Abstractions.ErrorCode.Internal, _failure);
            if (moment.Kind == kind) return moment.Timestamp;
        }
    }
}
