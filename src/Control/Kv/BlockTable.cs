using Krewe.Abstractions;

namespace Krewe.Control.Kv;

/// <summary>
/// One sequence's blocks: logical block index → <see cref="BlockId"/>. Every entry is one reference in the
/// <see cref="BlockPool"/>; only the pool changes a table, so that the two cannot disagree.
/// </summary>
public sealed class BlockTable
{
    private int[] _blocks = new int[8];

    public int Count { get; private set; }

    public BlockId this[int index] => new(Span[index]);

    /// <summary>[Count] block ids, as a step batch takes them. Valid until the table changes.</summary>
    public ReadOnlySpan<int> Span => _blocks.AsSpan(0, Count);

    /// <summary>Makes room for so many blocks, so that growing up to them allocates nothing.</summary>
    public void Reserve(int blocks)
    {
        if (blocks > _blocks.Length) Array.Resize(ref _blocks, blocks);
    }

    internal void Append(BlockId block)
    {
        if (Count == _blocks.Length) Array.Resize(ref _blocks, 2 * Count);
        _blocks[Count++] = block.Value;
    }

    internal void Set(int index, BlockId block) => _blocks.AsSpan(0, Count)[index] = block.Value;

    internal BlockId RemoveLast() => new(_blocks[--Count]);
}
