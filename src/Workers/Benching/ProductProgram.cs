using Krewe.Kernels;

namespace Krewe.Workers;

/// <summary>One product of a step: the weights, and whether only the rows that want logits go through them.</summary>
internal readonly record struct StepProduct(PackedMatrix Weights, bool LogitRowsOnly)
{
    public int RowsOf(StepShape shape) => LogitRowsOnly ? shape.LogitRows : shape.Rows;

    /// <summary>A multiply-add is two operations.</summary>
    public double Flops(StepShape shape) => 2.0 * RowsOf(shape) * Weights.Outputs * Weights.Inputs;
}

/// <summary>
/// The products of a step and nothing else, a phase each, split between threads as <see cref="CpuStep"/> splits them.
/// Results stay in a thread's scratch: a step, which writes them to memory as well, cannot be faster.
/// </summary>
internal sealed unsafe class ProductProgram : IStepProgram, IDisposable
{
    private const int TileRows = 8;
    private const int StripPanels = 4;

    private readonly CpuKernels _kernels;
    private readonly int _threads;
    private readonly int _inputStride;
    private readonly NativeArray<float> _input;
    private readonly NativeArray<float>[] _scratch;
    private IReadOnlyList<StepProduct> _products = [];
    private StepShape _shape;

    public ProductProgram(CpuKernels kernels, int threads, int maxRows, int maxInputs)
    {
        (_kernels, _threads, _inputStride) = (kernels, threads, maxInputs);
        _input = new NativeArray<float>((long)maxRows * maxInputs);
        // Ordinary numbers of both signs: zeros or subnormals may take another time.
        for (long i = 0; i < _input.Length; i++)
            _input.Data[i] = ((i * 37 % 251) - 125) / 128f;
        _scratch = [.. Enumerable.Range(0, threads)
            .Select(_ => new NativeArray<float>(TileRows * StripPanels * kernels.PanelOutputs))];
    }

    public int PhaseCount => _products.Count;

    public void Prepare(IReadOnlyList<StepProduct> products, StepShape shape) =>
        (_products, _shape) = (products, shape);

    public void RunPhase(int phase, int share)
    {
        var product = _products[phase];
        var (weights, rows) = (product.Weights, product.RowsOf(_shape));
        var unit = weights.PanelCount >= StripPanels * _threads ? StripPanels : 1;
        var units = (weights.PanelCount + unit - 1) / unit;
        var end = Math.Min((int)((long)units * (share + 1) / _threads) * unit, weights.PanelCount);
        for (var panel = (int)((long)units * share / _threads) * unit; panel < end; panel += StripPanels)
        {
            for (var row = 0; row < rows; row += TileRows)
            {
                _kernels.Multiply(
                    _input.Data + ((long)row * _inputStride), _inputStride, Math.Min(TileRows, rows - row), weights,
                    panel, Math.Min(StripPanels, end - panel), _scratch[share].Data,
                    StripPanels * weights.PanelOutputs, accumulate: false);
            }
        }
    }

    public void Dispose()
    {
        _input.Dispose();
        foreach (var scratch in _scratch)
            scratch.Dispose();
    }
}
