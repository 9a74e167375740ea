using System.Collections;
using Krewe.Control.Steps;

namespace Krewe.Workers;

/// <summary>
/// Sequences that hold no blocks, first in the step planner's order first. A sorted list: what waits is looked at in
/// every step, and changes seldom. Looking allocates nothing.
/// </summary>
internal sealed class WaitingQueue : IReadOnlyList<Sequence>
{
    private static readonly Comparer<Sequence> ByOrder = Comparer<Sequence>.Create((a, b) =>
        StepOrder.Compare(a.KeyMs, a.Arrival, b.KeyMs, b.Arrival));

    private readonly List<Sequence> _sequences = [];

    public int Count => _sequences.Count;

    public Sequence this[int index] => _sequences[index];

    public void Add(Sequence sequence)
    {
        var place = _sequences.BinarySearch(sequence, ByOrder);
        if (place < 0) _sequences.Insert(~place, sequence);
    }

    public bool Remove(Sequence sequence)
    {
        var place = _sequences.BinarySearch(sequence, ByOrder);
        if (place < 0) return false;
        _sequences.RemoveAt(place);
        return true;
    }

    public IEnumerator<Sequence> GetEnumerator() => _sequences.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
