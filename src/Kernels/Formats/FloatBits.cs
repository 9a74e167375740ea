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

    /// <summary><see cref="HalfMask"/> without the sign.</summary>
    public const int HalfMagnitude = 0x0fff_e000;

    /// <summary>A half's infinity in that place; larger magnitudes are NaN.</summary>
    public const int HalfInfinity = 0x7c00 << 13;

    /// <summary>2^112: the difference of the two formats' exponent biases.</summary>
    public const float HalfScale = 5.192296858534828e33f;
}
