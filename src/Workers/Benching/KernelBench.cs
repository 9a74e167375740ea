using Krewe.Abstractions;
using Krewe.Kernels;
using Krewe.Models;

namespace Krewe.Workers;

/// <summary>
/// A model's weight matrices and threads, to run the products of a step without the rest of it. What a step of the
/// same <see cref="StepShape"/> takes longer than these is attention, norms, and waiting.
/// </summary>
public sealed class KernelBench : IDisposable
{
    private readonly CpuWeights _weights;
    private readonly ComputeThreads _threads;
    private readonly ProductProgram _program;
    private readonly StepProduct[] _step;
    private readonly Dictionary<string, StepProduct[]> _kinds;

    private KernelBench(CpuWeights weights, int threads, int maxRows)
    {
        _weights = weights;
        _step = [.. ProductsOf(weights)];
        var layers = weights.Layers;
        _kinds = new Dictionary<string, StepProduct[]>
        {
            ["query_key_value"] = AllRows(layers.Select(layer => layer.QueryKeyValue)),
            ["attention_output"] = AllRows(layers.Select(layer => layer.AttentionOutput)),
            ["gate_up"] = AllRows(layers.Select(layer => layer.GateUp)),
            ["down"] = AllRows(layers.Select(layer => layer.Down)),
            ["head"] = AllRows([weights.Head]),
        };
        _program = new ProductProgram(CpuKernels.Best, threads, maxRows, _step.Max(product => product.Weights.Inputs));
        _threads = new ComputeThreads(threads);
    }

    /// <summary>Kinds of matrices; a kind's figures are taken over all layers in turn, because a single matrix might
    /// stay in the cache.</summary>
    public IEnumerable<string> Kinds => _kinds.Keys;

    /// <summary>Bytes of all matrices: what a step whose rows all want logits reads of them.</summary>
    public long WeightBytes => _step.Sum(product => product.Weights.Bytes);

    /// <summary>Packs the weights; the folder must stay open until the bench is disposed.</summary>
    /// <param name="maxRows">Most rows of a step that will be run.</param>
    public static KernelBench Load(ModelFolder model, ServedWeights form, int threads, int maxRows)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(maxRows);
        return new KernelBench(CpuWeightLoader.Load(model, CpuKernels.Best, form), threads, maxRows);
    }

    /// <summary>Operations of a step's products; attention and norms are not counted.</summary>
    public double Flops(StepShape shape) => _step.Sum(product => product.Flops(shape));

    public void Run(StepShape shape) => Run(_step, shape);

    /// <summary>Operations and weight bytes of the products of one kind.</summary>
    public (double Flops, long Bytes) KindWork(string kind, int rows) => (
        _kinds[kind].Sum(product => product.Flops(new StepShape(rows, rows))),
        _kinds[kind].Sum(product => product.Weights.Bytes));

    public void RunKind(string kind, int rows) => Run(_kinds[kind], new StepShape(rows, rows));

    public void Dispose()
    {
        _threads.Dispose();
        _program.Dispose();
        _weights.Dispose();
    }

    private void Run(StepProduct[] products, StepShape shape)
    {
        _program.Prepare(products, shape);
        _threads.Run(_program);
    }

    /// <summary>Behind the last layer's keys and values only the rows that want logits go on, as in a step.</summary>
    private static IEnumerable<StepProduct> ProductsOf(CpuWeights weights)
    {
        foreach (var layer in weights.Layers)
        {
            var isLast = ReferenceEquals(layer, weights.Layers[^1]);
            yield return new StepProduct(layer.QueryKeyValue, LogitRowsOnly: false);
            yield return new StepProduct(layer.AttentionOutput, isLast);
            yield return new StepProduct(layer.GateUp, isLast);
            yield return new StepProduct(layer.Down, isLast);
        }

        yield return new StepProduct(weights.Head, LogitRowsOnly: true);
    }

    private static StepProduct[] AllRows(IEnumerable<PackedMatrix> matrices) =>
        [.. matrices.Select(matrix => new StepProduct(matrix, LogitRowsOnly: false))];
}
