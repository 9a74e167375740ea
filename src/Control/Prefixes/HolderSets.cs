namespace Krewe.Control.Prefixes;

/// <summary>
/// Who has a block, in 32 bits: nothing (0), one holder, or a reference to a list in one of twelve size classes
/// (capacity 3, 7, ... 8191 codes of two bytes). A code is a holder (13 bits) and the tiers it has the block in (3
/// bits). Most blocks have one holder and cost nothing here; a system prompt's have all.
/// </summary>
internal sealed class HolderSets
{
    public const int HoldersMax = 1 << HolderBits;

    private const int HolderBits = 13;
    private const int HolderMask = HoldersMax - 1;
    private const int Classes = 12;
    private const uint ListFlag = 1u << 31;
    private const int ClassShift = 27;
    private const uint IndexMask = (1u << ClassShift) - 1;

    private readonly SizeClass[] _classes = new SizeClass[Classes];

    public HolderSets()
    {
        for (var i = 0; i < Classes; i++) _classes[i] = new SizeClass(4 << i);
    }

    public long Bytes
    {
        get
        {
            var bytes = 0L;
            foreach (var sizeClass in _classes) bytes += sizeClass.Bytes;
            return bytes;
        }
    }

    public int Count(uint value) => (value & ListFlag) == 0 ? (value == 0 ? 0 : 1) : List(value).Length;

    /// <summary>The holder's tiers; 0 = it is not in the set.</summary>
    public int Tiers(uint value, int holder)
    {
        if ((value & ListFlag) == 0) return IsOf((ushort)value, holder) && value != 0 ? (int)value >> HolderBits : 0;
        var list = List(value);
        var at = IndexOf(list, holder);
        return at < 0 ? 0 : list[at] >> HolderBits;
    }

    /// <summary>Adds tiers to a holder; true when it had none of the block before.</summary>
    public bool Add(ref uint value, int holder, int tiers)
    {
        var code = Code(holder, tiers);
        if (value == 0)
        {
            value = code;
            return true;
        }

        if ((value & ListFlag) == 0)
        {
            if (IsOf((ushort)value, holder))
            {
                value |= code;
                return false;
            }

            var first = (ushort)value;
            value = Allocate(0, [first, code]);
            return true;
        }

        var list = List(value);
        var at = IndexOf(list, holder);
        if (at >= 0)
        {
            list[at] |= code;
            return false;
        }

        var sizeClass = _classes[ClassOf(value)];
        if (sizeClass.TryAppend(IndexIn(value), code)) return true;
        Span<ushort> moved = stackalloc ushort[list.Length + 1];
        list.CopyTo(moved);
        moved[^1] = code;
        sizeClass.Free(IndexIn(value));
        value = Allocate(ClassOf(value) + 1, moved);
        return true;
    }

    /// <summary>Takes tiers from a holder; true when it has nothing of the block any more.</summary>
    public bool Remove(ref uint value, int holder, int tiers)
    {
        if ((value & ListFlag) == 0)
        {
            if (value == 0 || !IsOf((ushort)value, holder)) return false;
            var left = (ushort)(value & ~Code(0, tiers));
            value = left >> HolderBits == 0 ? 0u : left;
            return value == 0;
        }

        var list = List(value);
        var at = IndexOf(list, holder);
        if (at < 0) return false;
        list[at] = (ushort)(list[at] & ~Code(0, tiers));
        if (list[at] >> HolderBits != 0) return false;
        list[at] = list[^1];
        _classes[ClassOf(value)].DropLast(IndexIn(value));
        Shrink(ref value);
        return true;
    }

    /// <summary>Sets the bit of each holder that has the block in one of the tiers; returns how many.</summary>
    public int Fill(uint value, int tiers, Span<ulong> bits)
    {
        if ((value & ListFlag) == 0)
        {
            if (value == 0 || (((int)value >> HolderBits) & tiers) == 0) return 0;
            bits[(int)(value & HolderMask) >> 6] |= 1UL << (int)(value & 63);
            return 1;
        }

        var count = 0;
        foreach (var code in List(value))
        {
            if (((code >> HolderBits) & tiers) == 0) continue;
            bits[(code & HolderMask) >> 6] |= 1UL << (code & 63);
            count++;
        }

        return count;
    }

    /// <summary>The set's holders by index, in no order.</summary>
    public int HolderAt(uint value, int index) =>
        ((value & ListFlag) == 0 ? (int)value : List(value)[index]) & HolderMask;

    private static ushort Code(int holder, int tiers) => (ushort)(holder | (tiers << HolderBits));

    private static bool IsOf(ushort code, int holder) => (code & HolderMask) == holder;

    private static int ClassOf(uint value) => (int)((value & ~ListFlag) >> ClassShift);

    private static int IndexIn(uint value) => (int)(value & IndexMask);

    private static int IndexOf(ReadOnlySpan<ushort> list, int holder)
    {
        for (var i = 0; i < list.Length; i++)
        {
            if ((list[i] & HolderMask) == holder) return i;
        }

        return -1;
    }

    private Span<ushort> List(uint value) => _classes[ClassOf(value)].List(IndexIn(value));

    private uint Allocate(int sizeClass, ReadOnlySpan<ushort> codes) =>
        ListFlag | ((uint)sizeClass << ClassShift) | (uint)_classes[sizeClass].Allocate(codes);

    /// <summary>A list that uses a quarter of its place moves to the next smaller class; one code needs none.</summary>
    private void Shrink(ref uint value)
    {
        var list = List(value);
        var sizeClass = ClassOf(value);
        if (list.Length > 1 && (sizeClass == 0 || list.Length * 4 > _classes[sizeClass].Capacity)) return;
        Span<ushort> moved = stackalloc ushort[list.Length];
        list.CopyTo(moved);
        _classes[sizeClass].Free(IndexIn(value));
        value = moved.Length == 1 ? moved[0] : Allocate(sizeClass - 1, moved);
    }

    /// <summary>Lists of one capacity in one array, each led by its count; free ones are chained through it.</summary>
    private sealed class SizeClass(int stride)
    {
        private ushort[] _codes = [];
        private readonly Stack<int> _free = new();
        private int _used;

        public int Capacity => stride - 1;

        public long Bytes => ((long)_codes.Length * sizeof(ushort)) + ((long)_free.Capacity * sizeof(int));

        public int Allocate(ReadOnlySpan<ushort> codes)
        {
            if (!_free.TryPop(out var index))
            {
                index = _used++;
                var needed = (long)_used * stride;
                if (needed > _codes.Length)
                    Array.Resize(ref _codes, (int)Math.Min(Array.MaxLength, Math.Max(needed, _codes.Length * 5L / 4)));
            }

            _codes[index * stride] = (ushort)codes.Length;
            codes.CopyTo(_codes.AsSpan((index * stride) + 1));
            return index;
        }

        public Span<ushort> List(int index) => _codes.AsSpan((index * stride) + 1, _codes[index * stride]);

        public bool TryAppend(int index, ushort code)
        {
            ref var count = ref _codes[index * stride];
            if (count == Capacity) return false;
            _codes[(index * stride) + 1 + count++] = code;
            return true;
        }

        public void DropLast(int index) => _codes[index * stride]--;

        public void Free(int index) => _free.Push(index);
    }
}
