using System.Runtime.CompilerServices;

namespace Krewe.Kernels;

/// <summary>
/// A weight matrix [outputs, inputs] packed once for the outer-product kernels. Panels of <see cref="PanelOutputs"/>
/// outputs (two vectors) follow each other; inside a panel, input k holds one number for each output. 16-bit numbers
/// are interleaved so that one 32-bit word has output j of the first vector below and of the second above: both vectors
/// widen with one operation each; bytes and 32-bit numbers lie in order. Outputs behind the last are zeros.
/// </summary>
public sealed unsafe class PackedMatrix : IDisposable
{
    private readonly NativeArray<byte> _panels;
    private readonly NativeArray<float> _bias;
    private readonly NativeArray<float> _scales;

    internal PackedMatrix(int outputs, int inputs, WeightFormat format, int lanes)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(outputs);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(inputs);
        (Outputs, Inputs, Format, PanelOutputs) = (outputs, inputs, format, 2 * lanes);
        PanelCount = (outputs + PanelOutputs - 1) / PanelOutputs;
        PanelBytes = (long)inputs * PanelOutputs * ElementBytes;
        _panels = new NativeArray<byte>(PanelCount * PanelBytes);
        _bias = new NativeArray<float>(PaddedOutputs);
        _scales = new NativeArray<float>(format == WeightFormat.Int8 ? PaddedOutputs : 0);
    }

    public int Outputs { get; }

    public int Inputs { get; }

    public WeightFormat Format { get; }

    /// <summary>Outputs of one panel: 32, 16 or 8, twice the vector's lanes.</summary>
    public int PanelOutputs { get; }

    public int PanelCount { get; }

    /// <summary>Outputs with the padding of the last panel: the row length that a product writes.</summary>
    public int PaddedOutputs => PanelCount * PanelOutputs;

    /// <summary>Bytes of weights that a product over all panels reads.</summary>
    public long Bytes => PanelCount * PanelBytes;

    internal long PanelBytes { get; }

    internal int ElementBytes => Format switch { WeightFormat.F32 => 4, WeightFormat.Int8 => 1, _ => 2 };

    internal byte* Panel(int panel) => _panels.Data + (panel * PanelBytes);

    /// <summary>[PaddedOutputs]; zeros where the matrix has no bias.</summary>
    internal float* Bias => _bias.Data;

    /// <summary>[PaddedOutputs] where the matrix is INT8, else nothing.</summary>
    internal float* Scales => _scales.Data;

    /// <summary>
    /// Packs rows of a row-major [rowCount, Inputs] source, little-endian, not necessarily aligned, as outputs
    /// <paramref name="firstOutput"/> and up. Distinct rows may be packed by distinct threads unless they share a
    /// panel.
    /// </summary>
    /// <exception cref="InvalidWeightsException">A half is infinite or NaN: the kernels widen finite ones
    /// only.</exception>
    public void PackRows(byte* source, int rowCount, int firstOutput)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(firstOutput);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(rowCount, Outputs - firstOutput);
        if (Format == WeightFormat.Int8)
            throw new InvalidOperationException($"INT8 rows are quantised from floats: call {nameof(QuantizeRow)}.");
        if (Format == WeightFormat.F16) DemandFiniteHalves((ushort*)source, rowCount);
        while (rowCount > 0)
        {
            var (panel, column) = Math.DivRem(firstOutput, PanelOutputs);
            var columns = Math.Min(rowCount, PanelOutputs - column);
            if (Format == WeightFormat.F32)
                Transpose((uint*)source, (uint*)Panel(panel), column, columns);
            else
                Transpose((ushort*)source, (ushort*)Panel(panel), column, columns);
            source += (long)columns * Inputs * ElementBytes;
            (firstOutput, rowCount) = (firstOutput + columns, rowCount - columns);
        }
    }

    /// <summary>Rounds one row [Inputs] to INT8, symmetrically around zero, as output <paramref name="output"/>.
    /// </summary>
    /// <exception cref="InvalidWeightsException">A weight is infinite or NaN.</exception>
    public void QuantizeRow(ReadOnlySpan<float> row, int output)
    {
        if (Format != WeightFormat.Int8)
            throw new InvalidOperationException($"The matrix is {Format}: call {nameof(PackRows)}.");
        ArgumentOutOfRangeException.ThrowIfNotEqual(row.Length, Inputs, nameof(row));
        ArgumentOutOfRangeException.ThrowIfNegative(output);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(output, Outputs);
        var (panel, column) = Math.DivRem(output, PanelOutputs);
        var target = (sbyte*)Panel(panel) + column;
        var scale = Int8Row.ScaleOf(row);
        Scales[output] = scale;
        for (nint k = 0; k < row.Length; k++)
            target[k * PanelOutputs] = Int8Row.Round(row[(int)k], scale);
    }

    /// <summary>Sets the bias of outputs <paramref name="firstOutput"/> and up.</summary>
    public void SetBias(ReadOnlySpan<float> bias, int firstOutput) =>
        bias.CopyTo(new Span<float>(_bias.Data, Outputs)[firstOutput..]);

    public void Dispose()
    {
        _panels.Dispose();
        _bias.Dispose();
        _scales.Dispose();
    }

    private void DemandFiniteHalves(ushort* source, int rowCount)
    {
        for (var row = 0; row < rowCount; row++)
        {
            var halves = new ReadOnlySpan<ushort>(source + ((long)row * Inputs), Inputs);
            if (halves.ContainsAnyInRange<ushort>(0x7c00, 0x7fff) || halves.ContainsAnyInRange<ushort>(0xfc00, 0xffff))
                throw new InvalidWeightsException($"Row {row} has a weight that is infinite or not a number.");
        }
    }

    /// <summary>Rows of the source become columns of a panel: reads run along many rows at once, so that writes are
    /// dense.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Transpose<T>(T* source, T* panel, int firstColumn, int columns)
        where T : unmanaged
    {
        var places = stackalloc int[columns];
        for (var i = 0; i < columns; i++)
            places[i] = PlaceOf(firstColumn + i);
        for (nint k = 0; k < Inputs; k++)
        {
            for (nint i = 0; i < columns; i++)
                panel[places[i]] = source[(i * Inputs) + k];
            panel += PanelOutputs;
        }
    }

    private int PlaceOf(int column)
    {
        var lanes = PanelOutputs / 2;
        return Format == WeightFormat.F32 ? column : (2 * (column % lanes)) + (column / lanes);
    }
}
