namespace Krewe.KvStore.Slots;

/// <summary>Filling the index from what lies on disk, before anyone reads.</summary>
internal sealed partial class SlotIndex
{
    /// <summary>Slot that holds the key now; null when none does.</summary>
    public int? Find(BlockKey key)
    {
        lock (_gate) return _slotOf.TryGetValue(key, out var slot) ? slot : null;
    }

    /// <summary>
    /// Takes over all objects at once. Slots not named are free; earlier in the list is longer unused.
    /// </summary>
    public void Adopt(IEnumerable<(BlockKey Key, int Slot, float RecomputeCost)> objects)
    {
        lock (_gate)
        {
            foreach (var (key, slot, recomputeCost) in objects)
            {
                ref var entry = ref _slots[slot];
                entry.Key = key;
                entry.State = SlotState.Ready;
                entry.RecomputeCost = recomputeCost;
                _slotOf.Add(key, slot);
                LinkNewest(slot);
            }

            _freeCount = 0;
            for (var slot = Capacity - 1; slot >= 0; slot--)
            {
                if (_slots[slot].State == SlotState.Free) _free[_freeCount++] = slot;
            }
        }
    }
}
