namespace Krewe.Control.Kv;

/// <summary>
/// Least recently released first, O(1). Sequences release their last block first and pin a prefix as a whole, so that a
/// child is always older than its parent.
/// </summary>
public sealed class LruOrder : IEvictionOrder
{
    private readonly int _head;

    // A circular list through the blocks; index _head is no block.
    private readonly int[] _newer;
    private readonly int[] _older;

    public LruOrder(int blocks)
    {
        _head = blocks;
        _newer = new int[blocks + 1];
        _older = new int[blocks + 1];
        _newer[_head] = _older[_head] = _head;
    }

    public int Count { get; private set; }

    public void Enter(int block, int? parent, int index)
    {
    }

    public void Use(int block)
    {
    }

    public void Add(int block)
    {
        var last = _older[_head];
        (_newer[last], _older[block]) = (block, last);
        (_newer[block], _older[_head]) = (_head, block);
        Count++;
    }

    public void Remove(int block)
    {
        (_newer[_older[block]], _older[_newer[block]]) = (_newer[block], _older[block]);
        Count--;
    }

    public int TakeNext()
    {
        var block = _newer[_head];
        IntegrityException.Check(block != _head, "No block is evictable although the count says so.");
        Remove(block);
        return block;
    }

    public IEnumerable<int> InOrder()
    {
        for (var block = _newer[_head]; block != _head; block = _newer[block]) yield return block;
    }
}
