namespace Krewe.Kernels.Tests.Cpu;

/// <summary>A product [rows, outputs] of some rows of an input.</summary>
internal delegate float[] Product(float[] input, int firstRow, int rows);

/// <summary>Random weights and inputs of one shape, and the product that a kernel makes of them.</summary>
internal sealed unsafe class LinearCase
{
    public LinearCase(int seed, int rows, int outputs, int inputs, WeightFormat format)
    {
        var random = new Random(seed);
        (Rows, Outputs, Inputs, Format) = (rows, outputs, inputs, format);
        Input = RandomData.Floats(random, rows * inputs);
        // INT8 rounds at packing; see Served.
        Weights = RandomData.Rounded(RandomData.Floats(random, outputs * inputs), format);
        Bias = RandomData.Floats(random, outputs);
    }

    public int Rows { get; }

    public int Outputs { get; }

    public int Inputs { get; }

    public WeightFormat Format { get; }

    public float[] Input { get; }

    public float[] Weights { get; }

    public float[] Bias { get; }

    /// <summary>The weights that the kernel computes with.</summary>
    public float[] Served
    {
        get
        {
            float[] served = [.. Weights];
            for (var output = 0; Format == WeightFormat.Int8 && output < Outputs; output++)
                Int8Row.Apply(served.AsSpan(output * Inputs, Inputs));
            return served;
        }
    }

    public override string ToString() => $"{Rows} rows, {Outputs} x {Inputs} {Format}";

    /// <summary>The kernel's product with all panels at once, or in pieces of <paramref
    /// name="panelsAtOnce"/>.</summary>
    public float[] Multiply(CpuKernels kernels, int firstRow, int rows, int panelsAtOnce = int.MaxValue)
    {
        using var matrix = Pack(kernels);
        return Multiply(kernels, matrix, firstRow, rows, panelsAtOnce);
    }

    /// <summary>Weights and bias for one width, to be used for many products.</summary>
    public PackedMatrix Pack(CpuKernels kernels)
    {
        var matrix = kernels.CreateMatrix(Outputs, Inputs, Format);
        if (Format == WeightFormat.Int8)
        {
            for (var output = 0; output < Outputs; output++)
                matrix.QuantizeRow(Weights.AsSpan(output * Inputs, Inputs), output);
        }
        else
        {
            fixed (byte* bytes = RandomData.Bytes(Weights, Format))
                matrix.PackRows(bytes, Outputs, 0);
        }

        matrix.SetBias(Bias, 0);
        return matrix;
    }

    public float[] Multiply(
        CpuKernels kernels, PackedMatrix matrix, int firstRow, int rows, int panelsAtOnce = int.MaxValue)
    {
        var padded = new float[rows * matrix.PaddedOutputs];
        fixed (float* input = Input)
        fixed (float* output = padded)
        {
            for (var panel = 0; panel < matrix.PanelCount; panel += Math.Min(panelsAtOnce, matrix.PanelCount))
            {
                var panels = Math.Min(panelsAtOnce, matrix.PanelCount - panel);
                kernels.Multiply(
                    input + (firstRow * Inputs), Inputs, rows, matrix, panel, panels,
                    output + (panel * matrix.PanelOutputs), matrix.PaddedOutputs, accumulate: false);
            }
        }

        var result = new float[rows * Outputs];
        for (var row = 0; row < rows; row++)
            padded.AsSpan(row * matrix.PaddedOutputs, Outputs).CopyTo(result.AsSpan(row * Outputs));
        return result;
    }

    public double[] Reference()
    {
        var result = new double[Rows * Outputs];
        for (var row = 0; row < Rows; row++)
            Krewe.Kernels.Reference.ReferenceLinear.Multiply(
                RandomData.Doubles(Input.AsSpan(row * Inputs, Inputs)), Served, Bias,
                result.AsSpan(row * Outputs, Outputs));
        return result;
    }

    /// <summary>Rows whose bits differ between the whole batch and the row alone.</summary>
    public List<int> RowsThatDependOnTheBatch(Product product)
    {
        var together = product(Input, 0, Rows);
        return [.. Enumerable.Range(0, Rows).Where(row =>
            !Near.SameBits(product(Input, row, 1), together.AsSpan(row * Outputs, Outputs)))];
    }
}
