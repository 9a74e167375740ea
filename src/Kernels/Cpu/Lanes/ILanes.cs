namespace Krewe.Kernels;

/// <summary>
/// One vector width as the kernels need it: <typeparamref name="TV"/> holds <see cref="Count"/> floats. Kernels are
/// written once over this and compiled for each width. Every member acts on each lane by itself, rounds once and rounds
/// alike on all widths, so that a result's bits do not depend on the width.
/// </summary>
internal unsafe interface ILanes<TV>
    where TV : struct
{
    /// <summary>16, 8 or 4.</summary>
    static abstract int Count { get; }

    /// <summary>32 vector registers, as AVX-512 and ARM have; AVX2 has 16, room for 8 accumulators and their inputs.
    /// </summary>
    static abstract bool HasManyRegisters { get; }

    static abstract TV Zero { get; }

    static abstract TV Load(float* source);

    static abstract void Store(TV value, float* target);

    static abstract TV Broadcast(float value);

    static abstract TV Add(TV left, TV right);

    static abstract TV Subtract(TV left, TV right);

    static abstract TV Multiply(TV left, TV right);

    static abstract TV Divide(TV left, TV right);

    /// <summary>The larger; when one is NaN, whichever the hardware gives.</summary>
    static abstract TV Max(TV left, TV right);

    /// <summary>The largest lane.</summary>
    static abstract float MaxAcross(TV value);

    /// <summary>left * right + addend, rounded once.</summary>
    static abstract TV FusedMultiplyAdd(TV left, TV right, TV addend);

    /// <summary>Where left &lt; right, <paramref name="ifLess"/>; elsewhere (NaN included) <paramref
    /// name="otherwise"/>.
    /// </summary>
    static abstract TV SelectLess(TV left, TV right, TV ifLess, TV otherwise);

    /// <summary>value * 2^n where the low mantissa bits of <paramref name="exponentBits"/> hold n in
    /// -126..127.</summary>
    static abstract TV ScaleByPowerOfTwo(TV value, TV exponentBits);

    /// <summary>Widens Count consecutive 16-bit brain floats.</summary>
    static abstract TV LoadBrain(ushort* source);

    /// <summary>Widens Count consecutive IEEE half floats, exactly (subnormals, infinities and NaN too).</summary>
    static abstract TV LoadHalf(ushort* source);

    /// <summary>Rounds to brain floats like <see cref="KvNumber.Write"/>.</summary>
    static abstract void StoreBrain(TV value, ushort* target);

    /// <summary>Rounds to IEEE half floats like <see cref="KvNumber.Write"/>, but for the payload of a NaN.</summary>
    static abstract void StoreHalf(TV value, ushort* target);

    /// <summary>Widens the lower 16 bits of each of Count 32-bit words, read as brain floats.</summary>
    static abstract TV LowBrain(uint* pairs);

    /// <summary>Widens the upper 16 bits of each of Count 32-bit words, read as brain floats.</summary>
    static abstract TV HighBrain(uint* pairs);

    /// <summary>Widens the lower 16 bits of each of Count 32-bit words, read as finite IEEE halves.</summary>
    static abstract TV LowHalf(uint* pairs);

    /// <summary>Widens the upper 16 bits of each of Count 32-bit words, read as finite IEEE halves.</summary>
    static abstract TV HighHalf(uint* pairs);

    /// <summary>Widens Count consecutive signed bytes.</summary>
    static abstract TV LoadSignedBytes(sbyte* source);
}
