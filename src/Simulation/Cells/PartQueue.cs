namespace Krewe.Simulation;

/// <summary>Parts that wait, in order: a ring, because both ends change and thousands may wait.</summary>
internal sealed class PartQueue
{
    private CellPart[] _ring = new CellPart[16];
    private int _head;

    public int Count { get; private set; }

    public CellPart this[int index] => _ring[(_head + index) & (_ring.Length - 1)];

    public void Append(CellPart part)
    {
        Reserve();
        _ring[(_head + Count++) & (_ring.Length - 1)] = part;
    }

    /// <summary>In front: it was here before and lost its blocks.</summary>
    public void Return(CellPart part)
    {
        Reserve();
        _head = (_head - 1) & (_ring.Length - 1);
        _ring[_head] = part;
        Count++;
    }

    /// <summary>Takes out one part, wherever it is; those in front of it move up.</summary>
    public void Remove(CellPart part)
    {
        for (var i = 0; i < Count; i++)
        {
            if (this[i] != part) continue;
            for (; i > 0; i--) _ring[(_head + i) & (_ring.Length - 1)] = this[i - 1];
            _ring[_head] = null!;
            _head = (_head + 1) & (_ring.Length - 1);
            Count--;
            return;
        }
    }

    private void Reserve()
    {
        if (Count < _ring.Length) return;
        var larger = new CellPart[2 * _ring.Length];
        for (var i = 0; i < Count; i++) larger[i] = this[i];
        (_ring, _head) = (larger, 0);
    }
}
