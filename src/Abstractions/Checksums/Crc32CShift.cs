namespace Krewe.Abstractions;

/// <summary>
/// Advances a raw CRC-32C over a fixed number of zero bytes: multiplication by x^(8·bytes) modulo the polynomial, bits
/// reflected, one table for each byte of the operand.
/// </summary>
internal sealed class Crc32CShift
{
    private const uint Polynomial = 0x82F63B78;
    private const uint One = 1u << 31;

    private readonly uint[] _table = new uint[4 * 256];

    public Crc32CShift(int bytes)
    {
        var power = PowerOfX(8L * bytes);
        for (var part = 0; part < 4; part++)
        {
            for (var value = 0u; value < 256; value++)
                _table[part * 256 + value] = Multiply(power, value << (8 * part));
        }
    }

    public uint Apply(uint crc) =>
        _table[(byte)crc] ^ _table[256 + (byte)(crc >> 8)]
        ^ _table[512 + (byte)(crc >> 16)] ^ _table[768 + (crc >> 24)];

    /// <summary>x^<paramref name="exponent"/> modulo the polynomial, reflected: bit 31 is the power 0.</summary>
    public static uint PowerOfX(long exponent)
    {
        var result = One;
        var square = One >> 1;
        for (; exponent > 0; exponent >>= 1)
        {
            if ((exponent & 1) != 0) result = Multiply(result, square);
            square = Multiply(square, square);
        }

        return result;
    }

    private static uint Multiply(uint a, uint b)
    {
        var product = 0u;
        for (var bit = One; bit != 0; bit >>= 1)
        {
            if ((a & bit) != 0) product ^= b;
            b = (b & 1) != 0 ? (b >> 1) ^ Polynomial : b >> 1;
        }

        return product;
    }
}
