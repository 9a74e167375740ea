using Orleans;

namespace Krewe.Abstractions;

/// <summary>
/// One attempt to compute one token stream. <see cref="Epoch"/> is the fencing number: each re-plan of a request raises
/// it, and nothing that carries an older epoch is ever applied.
/// </summary>
/// <param name="RequestId">The request that owns the stream.</param>
/// <param name="Choice">Which of the request's n streams, from 0.</param>
/// <param name="Epoch">Attempt, from 1.</param>
[GenerateSerializer, Immutable]
public readonly record struct SequenceKey(
    [property: Id(0)] string RequestId, [property: Id(1)] int Choice, [property: Id(2)] int Epoch)
{
    public override string ToString() => $"{RequestId}/{Choice}@{Epoch}";
}
