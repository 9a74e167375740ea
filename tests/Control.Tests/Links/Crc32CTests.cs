using System.Text;
using Krewe.Control.Links;

namespace Krewe.Control.Tests.Links;

public sealed class Crc32CTests
{
    [Fact]
    public void The_standard_check_value_holds() =>
        Assert.Equal(0xE3069283u, Crc32C.Compute(Encoding.ASCII.GetBytes("123456789")));

    [Fact]
    public void Thirty_two_zero_bytes_have_the_value_of_RFC_3720() =>
        Assert.Equal(0x8A9136AAu, Crc32C.Compute(new byte[32]));

    [Fact]
    public void Parts_give_the_checksum_of_the_whole_wherever_they_are_cut()
    {
        var bytes = new byte[67];
        new Random(7).NextBytes(bytes);
        var whole = Crc32C.Compute(bytes);
        for (var cut = 0; cut <= bytes.Length; cut++)
            Assert.Equal(whole, Crc32C.Append(Crc32C.Compute(bytes.AsSpan(0, cut)), bytes.AsSpan(cut)));
    }

    [Fact]
    public void Every_single_flipped_bit_changes_it()
    {
        var bytes = new byte[64];
        new Random(8).NextBytes(bytes);
        var whole = Crc32C.Compute(bytes);
        for (var bit = 0; bit < bytes.Length * 8; bit++)
        {
            bytes[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.NotEqual(whole, Crc32C.Compute(bytes));
            bytes[bit / 8] ^= (byte)(1 << (bit % 8));
        }
    }
}
