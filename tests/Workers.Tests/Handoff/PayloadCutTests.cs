namespace Krewe.Workers.Tests;

public sealed class PayloadCutTests
{
    [Theory]
    [InlineData(1, 100, 2, new[] { 100, 0 })]
    [InlineData(3, 8192, 2, new[] { 12288, 12288 })]
    [InlineData(2, 5000, 3, new[] { 4096, 4096, 1808 })]
    [InlineData(3, 4096, 1, new[] { 12288 })]
    public void Parts_are_whole_pages_in_order_and_together_all(int count, int bytes, int ways, int[] expected)
    {
        var memory = new byte[count * bytes];
        for (var i = 0; i < memory.Length; i++) memory[i] = (byte)(i % 251);
        var parts = Enumerable.Range(0, count).Select(i => memory.AsMemory(i * bytes, bytes)).ToList();

        var cuts = PayloadCut.Of(parts, memory.Length, ways);

        Assert.Equal(expected, cuts.Select(cut => cut.Sum(part => part.Length)));
        Assert.Equal(memory, cuts.SelectMany(cut => cut).SelectMany(part => part.ToArray()));
    }
}
