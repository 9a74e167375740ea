using System.Runtime.CompilerServices;
using Krewe.Abstractions;
using Krewe.Control.Kv;

namespace Krewe.Control.Prefixes;

/// <summary>
/// Which worker has which KV blocks, for a thousand workers and ten million blocks. A hint, never the truth: a worker
/// looks into its own cache again. Invariant: a holder is in a block's set while, and only while, it has tiers there.
/// Not thread-safe: its owner locks.
/// </summary>
/// <remarks>
/// A block is kept by 64 of its 128 hash bits: among ten million blocks some two are confused with a chance of 3 in a
/// million, and that would cost one wrong estimate. Hashes are chained, so no tree is needed: block i's hash names its
/// whole prefix. A holder is one worker's present content; a worker that comes back or sends a snapshot opens a new
/// one, and the old one's blocks are swept away, a shard at a time, by the updates that follow.
/// </remarks>
public sealed partial class PrefixIndex
{
    public const int HoldersMax = HolderSets.HoldersMax;

    /// <summary>The slot of a holder whose content is not complete yet: it is in no answer.</summary>
    public const int Hidden = -1;

    /// <summary>
    /// 256 shards: few enough that what leads to their entries stays in the cache, many enough that growing or sweeping
    /// one of 40,000 blocks (of ten million) takes well under a ms.
    /// </summary>
    private const int ShardBits = 8;

    /// <summary>Updates between two shards of a sweep: it costs each of them some 100 ns.</summary>
    private const int UpdatesPerShard = 1024;

    private readonly BlockTableShard[] _shards = new BlockTableShard[1 << ShardBits];
    private readonly HolderSets _sets = new();
    private readonly int[] _slotOf = new int[HoldersMax];
    private readonly int[] _blocksOf = new int[HoldersMax];
    private readonly ulong[] _closed = new ulong[HoldersMax / 64];
    private readonly Stack<int> _freeHolders = new();
    private readonly long _blocksMax;
    private List<int> _closing = [];
    private List<int> _closingNext = [];
    private int _holdersUsed;
    private int _sweepShard = -1;
    private int _updates;
    private bool _hasLowerTiers;

    /// <param name="blocksMax">Distinct blocks at most; further ones are not taken in, and counted.</param>
    public PrefixIndex(long blocksMax = 1L << 25)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(blocksMax, 1);
        _blocksMax = blocksMax;
        for (var i = 0; i < _shards.Length; i++) _shards[i] = new BlockTableShard();
    }

    /// <summary>Distinct blocks.</summary>
    public long Blocks { get; private set; }

    /// <summary>(holder, block) pairs; those of closed holders until they are swept.</summary>
    public long Residencies { get; private set; }

    /// <summary>Blocks that were not taken in because the index was full.</summary>
    public long Refused { get; private set; }

    /// <summary>Bytes of the tables: what grows with the blocks.</summary>
    public long Bytes
    {
        get
        {
            var bytes = _sets.Bytes;
            foreach (var shard in _shards) bytes += shard.Bytes;
            return bytes;
        }
    }

    /// <summary>Begins a worker's content, empty.</summary>
    /// <param name="slot">Under which its hits are told; <see cref="Hidden"/> while it fills up.</param>
    public int Open(int slot)
    {
        while (_freeHolders.Count == 0 && _holdersUsed == HoldersMax && _sweepShard >= 0) SweepShard();
        if (_freeHolders.Count == 0 && _holdersUsed == HoldersMax)
            throw new InvalidOperationException($"The prefix index has {HoldersMax} holders open; close some.");
        var holder = _freeHolders.Count > 0 ? _freeHolders.Pop() : _holdersUsed++;
        _slotOf[holder] = slot;
        return holder;
    }

    /// <summary>Answers tell the holder's hits under this slot from now on; one open holder a slot.</summary>
    public void Show(int holder, int slot)
    {
        CheckOpen(holder);
        _slotOf[holder] = slot;
    }

    /// <summary>The holder has nothing from now on; its blocks are swept away later.</summary>
    public void Close(int holder)
    {
        CheckOpen(holder);
        _closed[holder >> 6] |= 1UL << (holder & 63);
        _closingNext.Add(holder);
        if (_sweepShard < 0) BeginSweep();
    }

    /// <summary>Blocks that the holder has, in any tier.</summary>
    public int BlocksOf(int holder) => _blocksOf[holder];

    /// <summary>The holder has the block in that tier now, too.</summary>
    public void Add(int holder, PrefixHash hash, KvTier tier)
    {
        BeginUpdate(holder);
        var key = KeyOf(hash);
        var shard = ShardOf(key);
        ref var value = ref shard.FindOrAdd(key);
        if (value == 0 && Blocks == _blocksMax)
        {
            shard.Remove(key);
            Refused++;
            return;
        }

        if (value == 0) Blocks++;
        _hasLowerTiers |= tier != KvTier.Device;
        if (!_sets.Add(ref value, holder, BitOf(tier))) return;
        _blocksOf[holder]++;
        Residencies++;
    }

    /// <summary>The holder no longer has the block in that tier. A block that is not known is no error.</summary>
    public void Remove(int holder, PrefixHash hash, KvTier tier) => Remove(holder, KeyOf(hash), tier);

    /// <inheritdoc cref="Remove(int, PrefixHash, KvTier)"/>
    internal void Remove(int holder, ulong key, KvTier tier)
    {
        BeginUpdate(holder);
        var shard = ShardOf(key);
        ref var value = ref shard.FindForUpdate(key);
        if (Unsafe.IsNullRef(ref value) || !_sets.Remove(ref value, holder, BitOf(tier))) return;
        _blocksOf[holder]--;
        Residencies--;
        if (value != 0) return;
        shard.Remove(key);
        Blocks--;
    }

    /// <summary>True when the holder has the block in that tier.</summary>
    public bool Holds(int holder, PrefixHash hash, KvTier tier)
    {
        CheckOpen(holder);
        var key = KeyOf(hash);
        return (_sets.Tiers(ShardOf(key).Find(key), holder) & BitOf(tier)) != 0;
    }

    /// <summary>What the index knows a block by. Zero marks an empty table entry.</summary>
    internal static ulong KeyOf(PrefixHash hash) => Math.Max(1, (ulong)hash.Value);

    private BlockTableShard ShardOf(ulong key) => _shards[key >> (64 - ShardBits)];

    private static int BitOf(KvTier tier) => tier switch
    {
        KvTier.Device => DeviceBit,
        KvTier.Host => HostBit,
        KvTier.Disk => DiskBit,
        _ => throw new ArgumentOutOfRangeException(nameof(tier), tier, "The index keeps a worker's own tiers."),
    };

    private bool IsClosed(int holder) => (_closed[holder >> 6] & (1UL << (holder & 63))) != 0;

    private void CheckOpen(int holder)
    {
        if ((uint)holder >= (uint)_holdersUsed || IsClosed(holder))
            throw new ArgumentException($"Holder {holder} is not open.", nameof(holder));
    }

    private void BeginUpdate(int holder)
    {
        CheckOpen(holder);
        if (_sweepShard >= 0 && ++_updates % UpdatesPerShard == 0) SweepShard();
    }

    private void BeginSweep()
    {
        (_closing, _closingNext) = (_closingNext, _closing);
        _sweepShard = 0;
    }

    /// <summary>
    /// Takes closed holders from one shard's blocks. Whole shards only: between two updates entries move inside theirs.
    /// </summary>
    private void SweepShard()
    {
        var shard = _shards[_sweepShard];
        for (var position = 0; position < shard.Size;)
        {
            // What follows a removed entry moves into its place: it is looked at next.
            if (!TrySweep(shard, position)) position++;
        }

        if (++_sweepShard < _shards.Length) return;
        _sweepShard = -1;
        foreach (var holder in _closing)
        {
            _closed[holder >> 6] &= ~(1UL << (holder & 63));
            _blocksOf[holder] = 0;
            _freeHolders.Push(holder);
        }

        _closing.Clear();
        if (_closingNext.Count > 0) BeginSweep();
    }

    /// <summary>True when the entry at the position was removed.</summary>
    private bool TrySweep(BlockTableShard shard, int position)
    {
        var (key, value) = shard.At(position);
        if (key == 0) return false;
        var before = _sets.Count(value);
        var changed = value;
        for (var i = before - 1; i >= 0; i--)
        {
            // From the last on: a removal puts the last one in its place, which was looked at already.
            var holder = _sets.HolderAt(changed, i);
            if (!IsClosed(holder)) continue;
            _sets.Remove(ref changed, holder, AnyTier);
            Residencies--;
        }

        if (changed == value) return false;
        if (changed != 0)
        {
            shard.FindForUpdate(key) = changed;
            return false;
        }

        shard.Remove(key);
        Blocks--;
        return true;
    }
}
