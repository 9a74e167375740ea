namespace Krewe.Models;

/// <summary>
/// GPT-2's alphabet: one printable character for each of the 256 bytes, so that any byte string can be a JSON string.
/// Printable Latin-1 stands for itself, the 68 other bytes follow from U+0100 upwards, in order.
/// </summary>
internal static class ByteAlphabet
{
    private static readonly char[] CharOfByte = BuildChars();
    private static readonly short[] ByteOfChar = BuildBytes();

    public static char CharOf(byte value) => CharOfByte[value];

    /// <summary>False where the character is none of the alphabet's.</summary>
    public static bool TryGetByte(char c, out byte value)
    {
        var known = c < ByteOfChar.Length && ByteOfChar[c] >= 0;
        value = known ? (byte)ByteOfChar[c] : (byte)0;
        return known;
    }

    private static char[] BuildChars()
    {
        var chars = new char[256];
        var next = (char)256;
        for (var b = 0; b < 256; b++)
            chars[b] = b is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE) ? (char)b : next++;
        return chars;
    }

    private static short[] BuildBytes()
    {
        var bytes = new short[256 + 68];
        Array.Fill(bytes, (short)-1);
        for (var b = 0; b < 256; b++)
            bytes[CharOfByte[b]] = (short)b;
        return bytes;
    }
}
