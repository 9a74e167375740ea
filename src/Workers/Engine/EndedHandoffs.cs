using System.Diagnostics.CodeAnalysis;
using Krewe.Abstractions;

namespace Krewe.Workers;

/// <summary>Why a prefill part has nothing to hand off any more; code null = nothing is wrong.</summary>
internal readonly record struct HandoffEnd(ErrorCode? Code, string Reason);

/// <summary>
/// How the newest prefill parts of this worker ended: a puller that comes late is told at once instead of waiting for a
/// sequence that will not come. Bounded; what is forgotten costs its puller a wait, never a wrong answer.
/// </summary>
internal sealed class EndedHandoffs
{
    private const int KeptMax = 4096;

    private readonly Dictionary<SequenceKey, HandoffEnd> _ends = [];
    private readonly Queue<SequenceKey> _order = new();

    public void Add(SequenceKey key, ErrorCode? code, string reason)
    {
        if (!_ends.TryAdd(key, new HandoffEnd(code, reason))) return;
        _order.Enqueue(key);
        if (_order.Count > KeptMax) _ends.Remove(_order.Dequeue());
    }

    public bool TryGet(SequenceKey key, [MaybeNullWhen(false)] out HandoffEnd end) => _ends.TryGetValue(key, out end);
}
