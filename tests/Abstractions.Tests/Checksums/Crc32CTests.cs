using System.Text;

namespace Krewe.Abstractions.Tests.Checksums;

public sealed class Crc32CTests
{
    [Fact]
    public void Known_vectors_of_rfc_3720_come_out()
    {
        Assert.Equal(0xE3069283u, Crc32C.Compute(Encoding.ASCII.GetBytes("123456789")));
        Assert.Equal(0x8A9136AAu, Crc32C.Compute(new byte[32]));
        Assert.Equal(0x62A8AB43u, Crc32C.Compute(Enumerable.Repeat((byte)0xFF, 32).ToArray()));
        Assert.Equal(0u, Crc32C.Compute([]));
    }

    [Fact]
    public void Every_length_around_the_strides_agrees_with_the_bitwise_definition()
    {
        var bytes = new byte[20_000];
        new Random(1).NextBytes(bytes);
        int[] lengths =
        [
            0, 1, 7, 8, 9, 255, 256, 511, 512, 513, 767, 768, 769, 1535, 1536, 6143, 6144, 6145, 6912, 12_288, 19_990,
        ];
        foreach (var length in lengths)
        {
            for (var start = 0; start < 9; start += 4)
            {
                var part = bytes.AsSpan(start, length);
                var expected = Bitwise(part);
                Assert.Equal(expected, Crc32C.Compute(part));
                Assert.Equal(expected, Crc32C.Compute(part, crc: 0, fold: false));
            }
        }
    }

    [Fact]
    public void A_checksum_can_be_continued_at_any_cut()
    {
        var bytes = new byte[10_000];
        new Random(2).NextBytes(bytes);
        var whole = Crc32C.Compute(bytes);
        for (var cut = 0; cut <= bytes.Length; cut += 777)
            Assert.Equal(whole, Crc32C.Compute(bytes.AsSpan(cut), Crc32C.Compute(bytes.AsSpan(0, cut))));
    }

    private static uint Bitwise(ReadOnlySpan<byte> data)
    {
        var crc = uint.MaxValue;
        foreach (var value in data)
        {
            crc ^= value;
            for (var bit = 0; bit < 8; bit++) crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82F63B78 : crc >> 1;
        }

        return ~crc;
    }
}
