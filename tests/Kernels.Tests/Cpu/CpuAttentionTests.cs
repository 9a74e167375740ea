using Krewe.Abstractions;

namespace Krewe.Kernels.Tests.Cpu;

public sealed class CpuAttentionTests
{
    // Weights sum to 1 and values are below 1; scores are chains of up to 80 products below 2, so a weight errs by
    // about 80 * 2 * 2^-24 of itself, and so does the result.
    private const double Tolerance = 3e-5;

    [Theory]
    [InlineData(KvFormat.F32)]
    [InlineData(KvFormat.F16)]
    [InlineData(KvFormat.BF16)]
    public void All_widths_agree_with_the_reference_and_with_each_other_to_the_bit(KvFormat format)
    {
        var random = new Random(3);
        var headDims = new[] { 6, 16, 20, 32, 64, 80 };
        for (var seed = 0; seed < 24; seed++)
        {
            var kvHeads = random.Next(1, 3);
            int? window = random.Next(2) == 0 ? null : random.Next(1, 90);
            using var shape = new AttentionCase(
                seed, random.Next(1, 180), kvHeads * random.Next(1, 12), kvHeads, headDims[random.Next(6)],
                16 * random.Next(1, 4), format, window);
            var output = shape.Attend(CpuKernels.V512, 0, shape.Tokens);
            Near.Equal(shape.Reference(), output, Tolerance, Tolerance, shape.ToString());
            Assert.True(Near.SameBits(output, shape.Attend(CpuKernels.V256, 0, shape.Tokens)), $"{shape}: 256 bits");
            Assert.True(Near.SameBits(output, shape.Attend(CpuKernels.V128, 0, shape.Tokens)), $"{shape}: 128 bits");
        }
    }

    [Theory]
    [InlineData(null)]
    [InlineData(1)]
    [InlineData(50)]
    [InlineData(64)]
    [InlineData(200)]
    public void A_row_has_the_same_bits_as_a_decode_and_inside_any_chunk(int? window)
    {
        using var shape = new AttentionCase(
            seed: 11, tokens: 150, heads: 6, kvHeads: 2, headDim: 32, blockTokens: 16, KvFormat.BF16, window);
        var whole = shape.Attend(CpuKernels.Best, 0, shape.Tokens);
        foreach (var chunk in new[] { 1, 3, 16, 100 })
        {
            for (var first = 0; first < shape.Tokens; first += chunk)
            {
                var rows = Math.Min(chunk, shape.Tokens - first);
                var part = shape.Attend(CpuKernels.Best, first, rows);
                Assert.True(
                    Near.SameBits(whole.AsSpan(first * shape.RowLength, rows * shape.RowLength), part),
                    $"rows from {first} in chunks of {chunk}");
            }
        }
    }

    [Fact]
    public void The_checks_catch_a_mask_that_is_shifted_by_one()
    {
        using var shape = new AttentionCase(
            seed: 2, tokens: 40, heads: 2, kvHeads: 1, headDim: 16, blockTokens: 16, KvFormat.F32);
        var expected = shape.Reference();
        Near.Equal(expected, shape.Attend(CpuKernels.Best, 0, 40), Tolerance, Tolerance, "as it is");
        // One position too few: other numbers. One too many: the last row reads a slot that nobody wrote.
        var less = shape.Attend(CpuKernels.Best, 1, 39, shiftedBy: -1);
        Assert.ThrowsAny<Exception>(
            () => Near.Equal(expected.AsSpan(shape.RowLength), less, Tolerance, Tolerance, "one too few"));
        Assert.Contains(float.NaN, shape.Attend(CpuKernels.Best, 0, 40, shiftedBy: 1));
    }
}
