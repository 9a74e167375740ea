namespace Krewe.KvStore.Slots;

/// <summary>What a reservation found.</summary>
internal enum ReserveOutcome
{
    Reserved,
    AlreadyPresent,
    BeingWritten,
    NoRoom,
}

/// <summary>
/// Which key lies in which slot: lookup, pins, last use, free slots. Pure bookkeeping for any tier; bytes are the
/// owner's. One lock, held for a few instructions and never across I/O. The list of last use holds every Ready slot
/// that nobody reads, so the victim is found without a search.
/// </summary>
internal sealed partial class SlotIndex
{
    private readonly Lock _gate = new();
    private readonly Dictionary<BlockKey, int> _slotOf;
    private readonly HashSet<BlockKey> _writing = [];
    private readonly Slot[] _slots;
    private readonly int[] _free;
    private readonly int _head;
    private readonly int _evictionSample;
    private int _freeCount;

    /// <param name="count">Slots, numbered from 0; lower numbers are given out first.</param>
    /// <param name="evictionSample">How many of the longest unused are compared by recompute cost; 1 is plain
    /// LRU.</param>
    public SlotIndex(int count, int evictionSample)
    {
        _slotOf = new Dictionary<BlockKey, int>(count);
        // One slot more: the head of the circular list of last use.
        _slots = new Slot[count + 1];
        _head = count;
        _slots[_head].Older = _slots[_head].Newer = _head;
        _free = new int[count];
        _evictionSample = evictionSample;
        for (var slot = count - 1; slot >= 0; slot--) _free[_freeCount++] = slot;
    }

    public int Capacity => _free.Length;

    public int Objects
    {
        get
        {
            lock (_gate) return _slotOf.Count;
        }
    }

    public IReadOnlyList<BlockKey> Keys
    {
        get
        {
            lock (_gate) return [.. _slotOf.Keys];
        }
    }

    public bool Contains(BlockKey key)
    {
        lock (_gate) return _slotOf.ContainsKey(key);
    }

    /// <summary>Finds the key's slot and holds it until <see cref="Unpin"/>; counts as a use.</summary>
    public bool TryPin(BlockKey key, out int slot)
    {
        lock (_gate)
        {
            if (!_slotOf.TryGetValue(key, out slot)) return false;
            Pin(slot);
            return true;
        }
    }

    /// <summary>
    /// Holds a slot without counting as a use, for a walk over all objects; ends with <see cref="Unpin"/>.
    /// </summary>
    public bool TryHold(int slot, out BlockKey key)
    {
        lock (_gate)
        {
            key = _slots[slot].Key;
            if (_slots[slot].State != SlotState.Ready) return false;
            _slots[slot].Pins++;
            return true;
        }
    }

    /// <summary>Ends one hold.</summary>
    /// <returns>True when it was the last on a retiring slot, which is free now.</returns>
    public bool Unpin(int slot)
    {
        lock (_gate)
        {
            ref var entry = ref _slots[slot];
            if (entry.Pins == 0) throw new InvalidOperationException($"Slot {slot} was unpinned once too often.");
            entry.Pins--;
            if (entry.Pins > 0) return false;
            if (entry.State == SlotState.Ready && !entry.Listed) LinkNewest(slot);
            if (entry.State != SlotState.Retiring) return false;
            Free(slot);
            return true;
        }
    }

    /// <summary>
    /// Takes a slot for a new object: a free one, else the victim's. The taker publishes or abandons it.
    /// </summary>
    /// <param name="victim">Key that was evicted for it; null when a slot was free.</param>
    /// <param name="replace">Take a slot although the key is present; the old copy serves until the new is
    /// published.</param>
    public ReserveOutcome TryReserve(BlockKey key, bool replace, out int slot, out BlockKey? victim)
    {
        lock (_gate)
        {
            victim = null;
            if (!replace && _slotOf.TryGetValue(key, out slot))
            {
                Touch(slot);
                return ReserveOutcome.AlreadyPresent;
            }

            slot = 0;
            if (_writing.Contains(key)) return ReserveOutcome.BeingWritten;
            if (_freeCount > 0)
            {
                slot = _free[--_freeCount];
            }
            else if (TryPickVictim(out slot))
            {
                victim = _slots[slot].Key;
                Unlink(slot);
                _slotOf.Remove(_slots[slot].Key);
            }
            else
            {
                return ReserveOutcome.NoRoom;
            }

            _slots[slot].Key = key;
            _slots[slot].State = SlotState.Writing;
            _writing.Add(key);
            return ReserveOutcome.Reserved;
        }
    }

    /// <summary>Makes a written slot readable.</summary>
    /// <returns>The slot of the copy that it replaces: retiring, and pinned for the caller; null when there was
    /// none.</returns>
    public int? Publish(int slot, float recomputeCost)
    {
        lock (_gate)
        {
            ref var entry = ref _slots[slot];
            _writing.Remove(entry.Key);
            int? replaced = _slotOf.TryGetValue(entry.Key, out var old) ? old : null;
            if (replaced is { } retiring) BeginRetire(retiring);
            entry.State = SlotState.Ready;
            entry.RecomputeCost = recomputeCost;
            _slotOf[entry.Key] = slot;
            LinkNewest(slot);
            return replaced;
        }
    }

    /// <summary>Gives back a slot whose write failed; a bad one is not used again.</summary>
    public void Abandon(int slot, bool bad)
    {
        lock (_gate)
        {
            _writing.Remove(_slots[slot].Key);
            if (bad) _slots[slot].State = SlotState.Bad;
            else Free(slot);
        }
    }

    /// <summary>Takes the key out; the caller clears the bytes and then unpins the slot, which frees it.</summary>
    public bool TryRetire(BlockKey key, out int slot)
    {
        lock (_gate)
        {
            if (!_slotOf.TryGetValue(key, out slot)) return false;
            BeginRetire(slot);
            return true;
        }
    }

    /// <summary>As <see cref="TryRetire"/>, unless the key has moved to another slot meanwhile.</summary>
    public bool TryRetireSlot(BlockKey key, int slot)
    {
        lock (_gate)
        {
            if (!_slotOf.TryGetValue(key, out var current) || current != slot) return false;
            BeginRetire(slot);
            return true;
        }
    }

    private void Pin(int slot)
    {
        ref var entry = ref _slots[slot];
        if (entry.Listed) Unlink(slot);
        entry.Pins++;
    }

    private void BeginRetire(int slot)
    {
        Pin(slot);
        _slotOf.Remove(_slots[slot].Key);
        _slots[slot].State = SlotState.Retiring;
    }

    private void Free(int slot)
    {
        _slots[slot].State = SlotState.Free;
        _free[_freeCount++] = slot;
    }

    private void Touch(int slot)
    {
        if (!_slots[slot].Listed) return;
        Unlink(slot);
        LinkNewest(slot);
    }

    private bool TryPickVictim(out int victim)
    {
        victim = _head;
        var compared = 0;
        var candidate = _slots[_head].Newer;
        for (; candidate != _head && compared < _evictionSample; candidate = _slots[candidate].Newer)
        {
            if (_slots[candidate].Pins > 0) continue;
            if (compared++ == 0 || _slots[candidate].RecomputeCost < _slots[victim].RecomputeCost) victim = candidate;
        }

        return compared > 0;
    }

    private void LinkNewest(int slot)
    {
        ref var head = ref _slots[_head];
        _slots[slot].Older = head.Older;
        _slots[slot].Newer = _head;
        _slots[slot].Listed = true;
        _slots[head.Older].Newer = slot;
        head.Older = slot;
    }

    private void Unlink(int slot)
    {
        ref var entry = ref _slots[slot];
        _slots[entry.Older].Newer = entry.Newer;
        _slots[entry.Newer].Older = entry.Older;
        entry.Listed = false;
    }

    private struct Slot
    {
        public BlockKey Key;
        public int Older;
        public int Newer;
        public int Pins;
        public float RecomputeCost;
        public SlotState State;
        public bool Listed;
    }
}
