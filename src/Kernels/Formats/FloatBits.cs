namespace Krewe.Kernels;

/// <summary>Bit patterns that the number-format conversions share.</summary>
internal static class FloatBits
{
    /// <summary>1.0f.</summary>
    public const int One = 0x3f80_0000;

    public const int Infinity = 0x7f80_0000;

    /// <summary>Keeps the brain float in the upper half of a word.</summary>
    public const uint UpperHalf = 0xffff_0000;

    /// <summary>Sign, exponent and mantissa of a half that was moved to bits 31 and 27..13 by an arithmetic
    /// shift.</summary>
    public const int HalfMask = unchecked((int)0x8fff_e000);

    /// <summary>A half's exponent in the upper 16 bits of a word; all ones in infinity and NaN.</summary>
    public const int HalfExponentAbove = 0x7c00 << 16;

    /// <summary>2^112: the difference of the two formats' exponent biases.</summary>
    public const float HalfScale = 5.192296858534828e33f;

    public const int Sign = unchecked((int)0x8000_0000);

    /// <summary>Just under half of a brain float's last place, as bits of the float.</summary>
    public const uint BrainHalfUnit = 0x7fff;

    /// <summary>Makes a NaN quiet in the half that a brain float keeps.</summary>
    public const uint BrainQuiet = 0x0040_0000;

    /// <summary>A half's quiet NaN.</summary>
    public const int HalfNaN = 0x7e00;

    /// <summary>A half's infinity.</summary>
    public const int HalfInfinity = 0x7c00;

    /// <summary>Float of 2^16: at and above, a half overflows.</summary>
    public const int HalfOverflow = (127 + 16) << 23;

    /// <summary>Float of 2^-14, the smallest normal half.</summary>
    public const int HalfNormalMin = (127 - 14) << 23;

    /// <summary>Float of 2^-1: its last mantissa bit is worth 2^-24, a half's smallest subnormal.</summary>
    public const int HalfSubnormalMagic = (127 - 1) << 23;

    /// <summary>Moves the exponent to a half's bias and adds just under half of a half's last place.</summary>
    public const int HalfRebias = ((15 - 127) << 23) + 0xfff;
}
