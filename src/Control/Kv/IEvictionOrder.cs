namespace Krewe.Control.Kv;

/// <summary>
/// In which order evictable blocks go. The <see cref="BlockPool"/> tells it what happens to cached blocks and asks for
/// the next victim. A child goes before its parent in the prefix chain wherever there is a choice: without its parent
/// it can never be found. Deterministic; allocates nothing after construction but in <see cref="InOrder"/>.
/// </summary>
public interface IEvictionOrder
{
    /// <summary>Blocks that are evictable.</summary>
    int Count { get; }

    /// <summary>A pinned block entered the prefix cache.</summary>
    /// <param name="parent">The cached block before it in its sequence; null for the first.</param>
    /// <param name="index">Its place in its sequence, from 0.</param>
    void Enter(int block, int? parent, int index);

    /// <summary>A cached block is used once more, whether pinned already or evictable until now.</summary>
    void Use(int block);

    /// <summary>A cached block lost its last reference: it is evictable.</summary>
    void Add(int block);

    /// <summary>An evictable block is pinned again.</summary>
    void Remove(int block);

    /// <summary>Takes the next victim out: it is evictable and cached no more. There must be one.</summary>
    int TakeNext();

    /// <summary>
    /// The evictable blocks, the next victims roughly first. Valid until the order changes.
    /// </summary>
    IEnumerable<int> InOrder();
}
