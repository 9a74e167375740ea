using Krewe.Models;
using Krewe.Workers;

namespace Krewe.Cli;

/// <summary>The products of the runner's steps, and nothing else of them.</summary>
internal sealed class KernelLayer(ModelFolder model, BenchSizes sizes, TimeProvider time) : IDisposable
{
    private static readonly int[] UsualRows = [1, 2, 4, 8, 32, 128, 512];

    private readonly KernelBench _bench =
        KernelBench.Load(model, sizes.Weights, sizes.Threads, Math.Max(sizes.StepTokens, UsualRows[^1]));

    public long WeightBytes => _bench.WeightBytes;

    /// <summary>Operations of the products of all prompts.</summary>
    public double PrefillFlops(int concurrency) => Plan(concurrency).Shapes.Sum(_bench.Flops);

    /// <summary>Operations of the products of one decode step.</summary>
    public double StepFlops(int concurrency) => _bench.Flops(new StepShape(concurrency, concurrency));

    public BenchRound Measure(int concurrency)
    {
        var plan = Plan(concurrency);
        var decode = new StepShape(concurrency, concurrency);
        return new StepClock(sizes.DecodeSteps, time).Run(
            () =>
            {
                foreach (var shape in plan.Shapes) _bench.Run(shape);
            },
            _ => _bench.Run(decode));
    }

    /// <summary>Each kind of matrix with each number of rows; the best of the rounds.</summary>
    public IEnumerable<ProductFigures> MeasureProducts() =>
        from kind in _bench.Kinds
        from rows in UsualRows
        select Measure(kind, rows);

    public void Dispose() => _bench.Dispose();

    private ProductFigures Measure(string kind, int rows)
    {
        var (flops, bytes) = _bench.KindWork(kind, rows);
        var best = double.PositiveInfinity;
        for (var round = 0; round <= sizes.Repeats; round++)
        {
            var begun = time.GetTimestamp();
            _bench.RunKind(kind, rows);
            best = Math.Min(best, time.GetElapsedTime(begun).TotalSeconds);
        }

        return new ProductFigures
        {
            Matrix = kind,
            Rows = rows,
            Gflops = flops / best / 1e9,
            GigabytesPerSecond = bytes / best / 1e9,
        };
    }

    private PrefillPlan Plan(int concurrency) => new(concurrency, sizes.PromptTokens, sizes.StepTokens);
}
