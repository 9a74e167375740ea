using Krewe.Abstractions;
using Krewe.KvStore.Disk;

namespace Krewe.KvStore.Tests.Disk;

public sealed class ObjectHeaderTests
{
    private static readonly ObjectHeader Header = new(Blocks.Key(7), 11, 22, 33, 44, 55, 3, 1.5f);
    private static readonly uint[] Checksums = [101, 102, 103];

    [Fact]
    public void A_written_header_is_read_back()
    {
        var page = Page();
        Assert.Equal(HeaderState.Valid, ObjectHeader.Read(page, out var read));
        Assert.Equal(Header, read);
        Assert.Equal(Checksums, ObjectHeader.LayerChecksums(page, 3).ToArray());
    }

    [Fact]
    public void A_flip_of_any_bit_of_the_page_is_noticed()
    {
        var whole = Page();
        var page = new byte[whole.Length];
        for (var bit = 0; bit < whole.Length * 8; bit++)
        {
            whole.CopyTo(page, 0);
            page[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.Equal(HeaderState.Torn, ObjectHeader.Read(page, out _));
        }
    }

    [Fact]
    public void A_page_torn_at_any_sector_is_noticed()
    {
        for (var bytes = 128; bytes < 4096; bytes += 512)
        {
            var page = Page();
            new Random(bytes).NextBytes(page.AsSpan(bytes));
            Assert.Equal(HeaderState.Torn, ObjectHeader.Read(page, out _));
        }
    }

    [Fact]
    public void An_unwritten_page_is_empty() =>
        Assert.Equal(HeaderState.Empty, ObjectHeader.Read(new byte[4096], out _));

    [Fact]
    public void Another_version_is_not_read_although_its_checksum_is_right()
    {
        var page = Page();
        page[8]++;
        page.AsSpan(12, 4).Clear();
        BitConverter.TryWriteBytes(page.AsSpan(12), Crc32C.Compute(page));
        Assert.Equal(HeaderState.Torn, ObjectHeader.Read(page, out _));
    }

    private static byte[] Page()
    {
        var page = new byte[4096];
        Header.Write(page, Checksums);
        return page;
    }
}
