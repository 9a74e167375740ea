using System.Runtime.Intrinsics;

namespace Krewe.Kernels.Tests.Cpu;

/// <summary>A row's bits in every shape that a step may have: 1 to 66 rows, whole or split among threads.</summary>
public sealed class CpuLinearShapesTests
{
    private const int RowsMax = 66;

    /// <summary>Widths that this machine runs in hardware, with each weight format.</summary>
    public static TheoryData<int, WeightFormat> Kinds
    {
        get
        {
            var kinds = new TheoryData<int, WeightFormat>();
            foreach (var format in Enum.GetValues<WeightFormat>())
            {
                kinds.Add(128, format);
                if (Vector256.IsHardwareAccelerated) kinds.Add(256, format);
                if (Vector512.IsHardwareAccelerated) kinds.Add(512, format);
            }

            return kinds;
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_row_has_the_bits_it_has_alone_among_any_number_of_rows(int bits, WeightFormat format)
    {
        var kernels = Of(bits);
        var shape = new LinearCase(seed: 5, RowsMax, outputs: 9 * kernels.PanelOutputs - 3, inputs: 53, format);
        using var matrix = shape.Pack(kernels);
        var alone = new float[RowsMax * shape.Outputs];
        for (var row = 0; row < RowsMax; row++)
            shape.Multiply(kernels, matrix, row, 1).CopyTo(alone, row * shape.Outputs);

        Assert.Empty(BatchesThatDiffer(shape, alone, (first, rows) => shape.Multiply(kernels, matrix, first, rows)));
        // Two threads of nine panels: four or five each; three, two, one at a time: more threads than that.
        foreach (var panels in new[] { 1, 2, 3, 4, 5 })
        {
            Assert.Empty(BatchesThatDiffer(
                shape, alone, (first, rows) => shape.Multiply(kernels, matrix, first, rows, panels)));
        }
    }

    [Fact]
    public void All_widths_give_the_same_bits_of_int8_weights_whatever_the_sign_and_the_size()
    {
        var shape = new LinearCase(seed: 8, rows: 3, outputs: 70, inputs: 40, WeightFormat.Int8);
        for (var i = 0; i < shape.Weights.Length; i++)
            shape.Weights[i] *= MathF.Pow(10, (i / shape.Inputs % 9) - 4);
        Array.Clear(shape.Weights, 7 * shape.Inputs, shape.Inputs);
        var product = shape.Multiply(CpuKernels.Best, 0, 3);
        Assert.True(Near.SameBits(product, shape.Multiply(CpuKernels.V128, 0, 3)));
        Assert.True(Near.SameBits(product, shape.Multiply(CpuKernels.V256, 0, 3)));
        Assert.True(Near.SameBits(product, shape.Multiply(CpuKernels.V512, 0, 3)));
        Assert.Equal(shape.Bias[7], product[7]);
    }

    [Fact]
    public void The_batch_check_catches_one_changed_bit()
    {
        var shape = new LinearCase(seed: 5, RowsMax, outputs: 40, inputs: 16, WeightFormat.F32);
        using var matrix = shape.Pack(CpuKernels.Best);
        var all = shape.Multiply(CpuKernels.Best, matrix, 0, RowsMax);
        var changed = (float[])all.Clone();
        changed[^1] = BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(changed[^1]) ^ 1);
        Assert.Equal(
            [RowsMax],
            BatchesThatDiffer(shape, changed, (first, rows) => shape.Multiply(CpuKernels.Best, matrix, first, rows)));
    }

    private static List<int> BatchesThatDiffer(LinearCase shape, float[] alone, Func<int, int, float[]> product) =>
    [
        .. Enumerable.Range(1, RowsMax)
            .Where(rows => !Near.SameBits(product(0, rows), alone.AsSpan(0, rows * shape.Outputs))),
    ];

    private static CpuKernels Of(int bits) => bits switch
    {
        128 => CpuKernels.V128,
        256 => CpuKernels.V256,
        _ => CpuKernels.V512,
    };
}
