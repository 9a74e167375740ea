using Krewe.Abstractions;
using Krewe.Kernels;
using Krewe.Kernels.Cuda;
using Krewe.Kernels.Reference;
using Krewe.Kernels.Tests;

namespace Krewe.Cuda.Tests.Kernels;

/// <summary>Dense products on the emulated GPU: right, and the same bits with any number of rows.</summary>
[Collection(EmulatedGpuDefinition.Name)]
public sealed class LinearTests : IDisposable
{
    private readonly Gpu _gpu = new();
    private readonly Random _random = new(5);

    public void Dispose() => _gpu.Dispose();

    [EmulatedTheory]
    [InlineData(KvFormat.BF16, false)]
    [InlineData(KvFormat.F16, false)]
    [InlineData(KvFormat.BF16, true)]
    public void Products_of_ragged_shapes_are_right_and_no_number_of_rows_changes_a_bit(KvFormat format, bool rounded)
    {
        var kernels = _gpu.Kernels(format == KvFormat.F16 ? 32 : 64, format);
        // Outputs beside tiles of 16, 64 and 128; inputs of one group, of odd groups, of several chunks.
        foreach (var (outputs, inputs, chunk) in new[] { (1, 32, 32), (130, 160, 64), (70, 96, 96), (200, 288, 128) })
        {
            const int MostRows = 130;
            var matrix = Matrix(outputs, inputs, chunk, format, rounded, out var weights);
            var input = Elements.Random(_random, MostRows * inputs, format);
            var all = Run(kernels, matrix, input, MostRows);
            var expected = new double[outputs];
            for (var row = 0; row < MostRows; row++)
            {
                ReferenceLinear.Multiply(
                    RandomData.Doubles(input.AsSpan(row * inputs, inputs)), weights, [], expected);
                // Numbers up to 1, at most 288 terms, each addition a rounding: 288^2 / 2 x 2^-24 < 3e-3 at worst,
                // and a random walk of it in fact.
                Near.Equal(expected, all.AsSpan(row * outputs, outputs), 1e-4, 0, $"{outputs} x {inputs}, row {row}");
            }

            foreach (var rows in new[] { 1, 3, 8, 9, 16, 33, 64, 65 })
            {
                var some = Run(kernels, matrix, input[..(rows * inputs)], rows);
                Assert.True(Near.SameBits(all.AsSpan(0, rows * outputs), some), $"{outputs} x {inputs}, {rows} rows");
            }
        }
    }

    [EmulatedTheory]
    [InlineData(1)]
    [InlineData(77)]
    public void The_order_in_which_threads_run_changes_no_bit(int order)
    {
        var matrix = Matrix(150, 192, 64, KvFormat.BF16, false, out _);
        var input = Elements.Random(_random, 70 * 192, KvFormat.BF16);
        var expected = Run(_gpu.Kernels(), matrix, input, 70);
        _gpu.Emulator.Set(order);

        Assert.True(Near.SameBits(expected, Run(_gpu.Kernels(), matrix, input, 70)));
    }

    [EmulatedFact]
    public void CublasLt_gives_the_same_product()
    {
        var matrix = Matrix(70, 96, 96, KvFormat.BF16, false, out _);
        var input = Elements.Random(_random, 5 * 96, KvFormat.BF16);
        using var library = new CublasLt(_gpu.Device, _gpu.Libraries, KvFormat.BF16);
        var output = _gpu.Poisoned<float>(5 * 70);

        var product = library.Linear(
            _gpu.Stream, matrix, _gpu.Upload(Elements.ToBits(input, KvFormat.BF16)), 96, output, 5);

        Near.Equal(
            RandomData.Doubles(Run(_gpu.Kernels(), matrix, input, 5)), _gpu.Download(product, 5), 1e-4, 0, "cuBLASLt");
    }

    private GpuMatrix Matrix(
        int outputs, int inputs, int chunk, KvFormat format, bool rounded, out float[] weights)
    {
        weights = Elements.Random(_random, outputs * inputs, format);
        if (!rounded) return new GpuMatrix(_gpu.Upload(Elements.ToBits(weights, format)), 0, outputs, inputs, chunk);
        var codes = new sbyte[weights.Length];
        var scales = new float[outputs];
        for (var output = 0; output < outputs; output++)
        {
            var row = weights.AsSpan(output * inputs, inputs);
            scales[output] = Int8Row.ScaleOf(row);
            for (var i = 0; i < inputs; i++) codes[(output * inputs) + i] = Int8Row.Round(row[i], scales[output]);
            Int8Row.Apply(row);
        }

        return new GpuMatrix(_gpu.Upload(codes), _gpu.Upload(scales), outputs, inputs, chunk);
    }

    private float[] Run(CudaKernels kernels, GpuMatrix matrix, float[] input, int rows)
    {
        var output = _gpu.Poisoned<float>(matrix.OutputFloats(rows));
        var product = kernels.Linear(
            _gpu.Stream, matrix, _gpu.Upload(Elements.ToBits(input, kernels.Options.Format)), matrix.Inputs, output,
            _gpu.Upload(rows), rows);
        return _gpu.Download(product, rows);
    }
}
