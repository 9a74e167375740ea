using System.Runtime.Intrinsics;

namespace Krewe.Kernels.Tests.Cpu;

public sealed unsafe class CpuLinearTests
{
    public static TheoryData<WeightFormat> Formats => [.. Enum.GetValues<WeightFormat>()];

    [Theory]
    [MemberData(nameof(Formats))]
    public void All_widths_agree_with_the_reference_and_with_each_other_to_the_bit(WeightFormat format)
    {
        var random = new Random(7);
        for (var seed = 0; seed < 40; seed++)
        {
            var shape = new LinearCase(seed, random.Next(1, 20), random.Next(1, 150), random.Next(1, 130), format);
            var product = shape.Multiply(CpuKernels.V512, 0, shape.Rows);
            // Up to 130 products of size 1, each rounded to 2^-24 of a partial sum below 20.
            Near.Equal(shape.Reference(), product, absolute: 2e-5, relative: 1e-5, shape.ToString());
            Assert.True(Near.SameBits(product, shape.Multiply(CpuKernels.V256, 0, shape.Rows)), $"{shape}: 256 bits");
            Assert.True(Near.SameBits(product, shape.Multiply(CpuKernels.V128, 0, shape.Rows)), $"{shape}: 128 bits");
        }
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void A_row_has_the_same_bits_alone_and_in_any_batch(WeightFormat format)
    {
        foreach (var rows in new[] { 1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 16, 23, 64 })
        {
            var shape = new LinearCase(rows, rows, outputs: 200, inputs: 67, format);
            Assert.Empty(shape.RowsThatDependOnTheBatch(
                (_, first, count) => shape.Multiply(CpuKernels.Best, first, count)));
        }
    }

    [Fact]
    public void The_batch_check_catches_a_product_that_splits_its_sums_in_larger_batches()
    {
        var shape = new LinearCase(seed: 1, rows: 9, outputs: 40, inputs: 64, WeightFormat.F32);
        Assert.NotEmpty(shape.RowsThatDependOnTheBatch(SplitInBatches));

        // Wrong on purpose: two partial sums when there is more than one row.
        float[] SplitInBatches(float[] input, int firstRow, int rows)
        {
            var result = new float[rows * shape.Outputs];
            for (var i = 0; i < result.Length; i++)
            {
                var (row, output) = Math.DivRem(i, shape.Outputs);
                var sums = new float[] { shape.Bias[output], 0 };
                for (var k = 0; k < shape.Inputs; k++)
                {
                    ref var sum = ref sums[rows > 1 ? k % 2 : 0];
                    sum = MathF.FusedMultiplyAdd(
                        input[((firstRow + row) * shape.Inputs) + k], shape.Weights[(output * shape.Inputs) + k], sum);
                }

                result[i] = sums[0] + sums[1];
            }

            return result;
        }
    }

    [Fact]
    public void Each_output_is_one_chain_of_fused_multiply_adds_in_ascending_order()
    {
        var shape = new LinearCase(seed: 3, rows: 6, outputs: 37, inputs: 90, WeightFormat.BF16);
        var product = shape.Multiply(CpuKernels.Best, 0, shape.Rows);
        for (var i = 0; i < product.Length; i++)
        {
            var (row, output) = Math.DivRem(i, shape.Outputs);
            var sum = shape.Bias[output];
            for (var k = 0; k < shape.Inputs; k++)
            {
                sum = MathF.FusedMultiplyAdd(
                    shape.Input[(row * shape.Inputs) + k], shape.Weights[(output * shape.Inputs) + k], sum);
            }

            Assert.Equal(sum, product[i]);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Splitting_the_panels_among_threads_changes_no_bit(int panelsAtOnce)
    {
        foreach (var rows in new[] { 1, 2, 4, 8, 13 })
        {
            var shape = new LinearCase(rows, rows, outputs: 300, inputs: 50, WeightFormat.BF16);
            Assert.True(Near.SameBits(
                shape.Multiply(CpuKernels.Best, 0, rows), shape.Multiply(CpuKernels.Best, 0, rows, panelsAtOnce)));
        }
    }

    [Fact]
    public void Accumulating_adds_the_whole_product_to_what_was_there_once()
    {
        using var matrix = CpuKernels.Best.CreateMatrix(32, 1, WeightFormat.F32);
        fixed (float* weights = Enumerable.Range(0, 32).Select(i => (float)i).ToArray())
            matrix.PackRows((byte*)weights, 32, 0);
        // 5 to 7 rows run in the kernel for 8, whose spare rows read the last one again.
        foreach (var rows in new[] { 1, 2, 3, 5, 7, 8 })
        {
            var output = new float[rows * matrix.PaddedOutputs];
            Array.Fill(output, 1f);
            fixed (float* input = Enumerable.Range(1, rows).Select(i => (float)i).ToArray())
            fixed (float* target = output)
                CpuKernels.Best.Multiply(
                    input, 1, rows, matrix, 0, matrix.PanelCount, target, matrix.PaddedOutputs, accumulate: true);
            for (var row = 0; row < rows; row++)
                Assert.Equal(1f + ((row + 1) * 31), output[(row * matrix.PaddedOutputs) + 31]);
        }
    }

    /// <summary>On this machine the product may never choose it: it is for processors with 16 registers.</summary>
    [Fact]
    public void The_kernel_for_few_registers_gives_the_same_bits()
    {
        const int inputs = 61;
        var random = new Random(9);
        using var matrix = CpuKernels.V256.CreateMatrix(16, inputs, WeightFormat.F32);
        fixed (float* weights = RandomData.Floats(random, 16 * inputs))
            matrix.PackRows((byte*)weights, 16, 0);
        for (var rows = 1; rows <= 4; rows++)
        {
            var (expected, actual) = (new float[rows * 16], new float[rows * 16]);
            fixed (float* input = RandomData.Floats(random, rows * inputs))
            fixed (float* e = expected, a = actual)
            {
                CpuKernels.V256.Multiply(input, inputs, rows, matrix, 0, 1, e, 16, accumulate: false);
                LinearKernels<Lanes256, Vector256<float>, SingleWeights<Lanes256, Vector256<float>>>.FourByOne(
                    new LinearTile
                    {
                        Input = input,
                        InputStride = inputs,
                        Rows = rows,
                        Inputs = inputs,
                        Weights = matrix.Panel(0),
                        Panels = 1,
                        Bias = matrix.Bias,
                        Output = a,
                        OutputStride = 16,
                    });
            }

            Assert.True(Near.SameBits(expected, actual), $"{rows} rows");
        }
    }

    [Fact]
    public void Packing_rows_behind_the_last_output_is_refused()
    {
        using var matrix = CpuKernels.Best.CreateMatrix(10, 4, WeightFormat.F32);
        Assert.Throws<ArgumentOutOfRangeException>(() => matrix.PackRows(null, 2, 9));
        Assert.Throws<ArgumentOutOfRangeException>(() => CpuKernels.Best.CreateMatrix(0, 4, WeightFormat.F32));
    }
}
