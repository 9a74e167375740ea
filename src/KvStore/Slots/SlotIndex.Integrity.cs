namespace Krewe.KvStore.Slots;

/// <summary>Counts every slot twice, by state and by list, and reports each disagreement.</summary>
internal sealed partial class SlotIndex
{
    /// <summary>What is wrong, one sentence each; empty when nothing is.</summary>
    /// <param name="idle">True when no put, get or delete is under way: then holds and half-done slots are
    /// leaks.</param>
    public IReadOnlyList<string> CheckIntegrity(bool idle)
    {
        lock (_gate)
        {
            var problems = new List<string>();
            CheckKeys(problems);
            CheckLastUse(problems);
            CheckFree(problems);
            if (idle) CheckIdle(problems);
            return problems;
        }
    }

    private void CheckKeys(List<string> problems)
    {
        foreach (var (key, slot) in _slotOf)
        {
            if (_slots[slot].State != SlotState.Ready)
                problems.Add($"Key {key} points at slot {slot}, which is {_slots[slot].State}.");
            if (_slots[slot].Key != key)
                problems.Add($"Key {key} points at slot {slot}, which holds {_slots[slot].Key}.");
        }

        var ready = Count(SlotState.Ready);
        if (ready != _slotOf.Count) problems.Add($"{ready} slots are ready but {_slotOf.Count} keys are known.");
        var writing = Count(SlotState.Writing);
        if (writing != _writing.Count) problems.Add($"{writing} slots are written but {_writing.Count} keys are.");
    }

    private void CheckLastUse(List<string> problems)
    {
        var listed = 0;
        var slot = _slots[_head].Newer;
        for (; slot != _head && listed <= Capacity; slot = _slots[slot].Newer, listed++)
        {
            ref var entry = ref _slots[slot];
            if (entry.State != SlotState.Ready || !entry.Listed)
                problems.Add($"Slot {slot} is in the list of last use but {entry.State}.");
            if (_slots[entry.Newer].Older != slot) problems.Add($"Slot {slot} is linked one way only.");
        }

        var marked = 0;
        for (var i = 0; i < Capacity; i++)
        {
            ref var entry = ref _slots[i];
            if (entry.Listed) marked++;
            else if (entry.State == SlotState.Ready && entry.Pins == 0) problems.Add($"Slot {i} can never be evicted.");
        }

        if (listed != marked) problems.Add($"{marked} slots are marked as listed but {listed} are.");
    }

    private void CheckFree(List<string> problems)
    {
        var seen = new HashSet<int>();
        for (var i = 0; i < _freeCount; i++)
        {
            if (!seen.Add(_free[i])) problems.Add($"Slot {_free[i]} is free twice.");
            if (_slots[_free[i]].State != SlotState.Free)
                problems.Add($"Slot {_free[i]} is on the free list but {_slots[_free[i]].State}.");
        }

        var free = Count(SlotState.Free);
        if (free != _freeCount) problems.Add($"{free} slots are free but {_freeCount} are listed.");
    }

    private void CheckIdle(List<string> problems)
    {
        for (var slot = 0; slot < Capacity; slot++)
        {
            ref var entry = ref _slots[slot];
            if (entry.Pins > 0) problems.Add($"Slot {slot} ({entry.Key}) is held {entry.Pins} times by nobody.");
            if (entry.State is SlotState.Writing or SlotState.Retiring)
                problems.Add($"Slot {slot} ({entry.Key}) was left {entry.State}.");
        }
    }

    private int Count(SlotState state)
    {
        var count = 0;
        for (var i = 0; i < Capacity; i++)
        {
            if (_slots[i].State == state) count++;
        }

        return count;
    }
}
