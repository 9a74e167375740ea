namespace Krewe.Kernels.Tests;

/// <summary>
/// |actual - expected| at most absolute + relative * |expected|. A chain of n roundings in F32 of terms of size t errs
/// by about n * t * 2^-24 at worst; each test states the bound that follows for its sizes.
/// </summary>
internal static class Near
{
    public static void Equal(
        ReadOnlySpan<double> expected, ReadOnlySpan<float> actual, double absolute, double relative, string what)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (var i = 0; i < expected.Length; i++)
        {
            var bound = absolute + (relative * Math.Abs(expected[i]));
            if (!(Math.Abs(actual[i] - expected[i]) <= bound))
                Assert.Fail($"{what}: element {i} is {actual[i]}, expected {expected[i]} within {bound}.");
        }
    }

    /// <summary>Whether all bits are the same; NaN equals NaN, 0 does not equal -0.</summary>
    public static bool SameBits(ReadOnlySpan<float> left, ReadOnlySpan<float> right) =>
        System.Runtime.InteropServices.MemoryMarshal.AsBytes(left)
            .SequenceEqual(System.Runtime.InteropServices.MemoryMarshal.AsBytes(right));
}
