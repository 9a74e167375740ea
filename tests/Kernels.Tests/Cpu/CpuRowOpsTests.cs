using Krewe.Kernels.Reference;

namespace Krewe.Kernels.Tests.Cpu;

public sealed unsafe class CpuRowOpsTests
{
    // Each result is a handful of roundings of 2^-24 after the sum of squares, whose relative error is about 2^-24
    // times the length of a partial sum (at most 20 here).
    private const double Tolerance = 4e-6;

    public static TheoryData<string> Widths => ["v512+fma", "v256+fma", "v128+fma"];

    [Theory]
    [MemberData(nameof(Widths))]
    public void RmsNorm_agrees_with_the_reference(string width)
    {
        var random = new Random(1);
        for (var count = 1; count < 300; count += 7)
        {
            var (input, weight) = (RandomData.Floats(random, count, 3), RandomData.Floats(random, count));
            var (expected, output) = (new double[count], new float[count]);
            ReferenceRmsNorm.Normalize(RandomData.Doubles(input), weight, 1e-5, expected);
            fixed (float* i = input, w = weight, o = output)
                Kernels(width).RmsNorm(i, w, count, 1e-5f, o);
            Near.Equal(expected, output, Tolerance, Tolerance, $"{width}, {count} elements");
            AssertSameAsWidest(output, kernels =>
            {
                fixed (float* i = input, w = weight, o = output)
                    kernels.RmsNorm(i, w, count, 1e-5f, o);
            });
        }
    }

    [Theory]
    [MemberData(nameof(Widths))]
    public void Rotation_agrees_with_the_reference(string width)
    {
        var random = new Random(2);
        foreach (var headDim in new[] { 2, 6, 16, 40, 64, 128 })
        {
            foreach (var position in new[] { 0, 1, 1000, 131_071 })
            {
                var frequencies = RotaryFrequencies.Plain(headDim, 10_000);
                var head = RandomData.Floats(random, headDim);
                var expected = RandomData.Doubles(head);
                ReferenceRope.Rotate(expected, position, frequencies);
                var angles = new float[headDim];
                var output = new float[headDim];
                fixed (float* a = angles, o = output)
                {
                    new RotaryAngles(frequencies).Fill(position, a, a + (headDim / 2));
                    head.CopyTo(output, 0);
                    Kernels(width).Rotate(o, a, a + (headDim / 2), headDim / 2, scale: 1);
                }

                Near.Equal(expected, output, Tolerance, Tolerance, $"{width}, {headDim} dims, position {position}");
                AssertSameAsWidest(output, kernels =>
                {
                    head.CopyTo(output, 0);
                    fixed (float* a = angles, o = output)
                        kernels.Rotate(o, a, a + (headDim / 2), headDim / 2, scale: 1);
                });
            }
        }
    }

    [Theory]
    [MemberData(nameof(Widths))]
    public void SwiGlu_agrees_with_the_reference_for_small_and_large_gates(string width)
    {
        var gate = Enumerable.Range(0, 512).Select(i => (i - 256) * 0.5f).ToArray();
        var up = RandomData.Floats(new Random(3), gate.Length);
        var (expected, output) = (new double[gate.Length], new float[gate.Length]);
        ReferenceSwiGlu.Apply(RandomData.Doubles(gate), RandomData.Doubles(up), expected);
        fixed (float* g = gate, u = up, o = output)
            Kernels(width).SwiGlu(g, u, gate.Length, o);
        Near.Equal(expected, output, Tolerance, Tolerance, width);
        AssertSameAsWidest(output, kernels =>
        {
            fixed (float* g = gate, u = up, o = output)
                kernels.SwiGlu(g, u, gate.Length, o);
        });
    }

    private static CpuKernels Kernels(string width) =>
        new[] { CpuKernels.V512, CpuKernels.V256, CpuKernels.V128 }.Single(kernels => kernels.InstructionPath == width);

    /// <summary>Runs the op again with 512 bits into the same array and compares with what it held.</summary>
    private static void AssertSameAsWidest(float[] output, Action<CpuKernels> run)
    {
        var before = output.ToArray();
        run(CpuKernels.V512);
        Assert.True(Near.SameBits(before, output));
    }
}
