namespace Krewe.Cli.Tests.Arguments;

public sealed class ByteSizeTests
{
    [Theory]
    [InlineData("65536", 65536L)]
    [InlineData("512MiB", 512L << 20)]
    [InlineData("2GiB", 2L << 30)]
    [InlineData("1 tib", 1L << 40)]
    [InlineData("64k", 64L << 10)]
    [InlineData("10B", 10L)]
    public void Sizes_are_read_as_people_write_them(string text, long bytes)
    {
        Assert.True(ByteSize.TryParse(text, out var parsed));
        Assert.Equal(bytes, parsed);
    }

    [Theory]
    [InlineData("")]
    [InlineData("MiB")]
    [InlineData("-1")]
    [InlineData("1.5GiB")]
    [InlineData("9999999999999TiB")]
    [InlineData("12 parsecs")]
    public void What_is_no_size_is_refused(string text) => Assert.False(ByteSize.TryParse(text, out _));

    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(1023, "1023 B")]
    [InlineData(1536, "1.5 KiB")]
    [InlineData(3L << 30, "3 GiB")]
    public void Sizes_are_printed_in_the_unit_that_fits(long bytes, string text) =>
        Assert.Equal(text, ByteSize.Format(bytes));
}
