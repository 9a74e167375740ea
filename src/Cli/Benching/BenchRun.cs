using Krewe.Models;
using Krewe.Workers;
using Microsoft.Extensions.Logging;

namespace Krewe.Cli;

/// <summary>
/// One run of <c>krewe bench</c>: limits, then the layers from below, limits in between and at the end. Layers do not
/// share memory: each frees its weights before the next packs its own.
/// </summary>
internal sealed class BenchRun(ModelFolder model, BenchSizes sizes, TimeProvider time)
{
    private readonly OrderedDictionary<(string Layer, int Concurrency), List<BenchRound>> _measured = [];
    private readonly Dictionary<int, double> _prefillFlops = [];
    private readonly Dictionary<int, double> _stepFlops = [];
    private long _weightBytes;
    private IReadOnlyList<ProductFigures>? _products;
    private string _numerics = "";
    private MachineLimits _limits = new(0, 0);

    public async Task<BenchReport> KernelsAsync(CancellationToken cancellationToken)
    {
        _numerics = Kernels.CpuKernels.Best.InstructionPath;
        for (var sweep = 0; sweep < sizes.Sweeps; sweep++)
            await MeasureKernelsAsync(withProducts: sweep == sizes.Sweeps - 1, cancellationToken);
        MeasureLimits();
        return Report();
    }

    /// <param name="serving">The layer above the engine as well: gateway, links and HTTP.</param>
    public async Task<BenchReport> EngineAsync(bool serving, ILogger logger, CancellationToken cancellationToken)
    {
        for (var sweep = 0; sweep < sizes.Sweeps; sweep++)
        {
            await MeasureKernelsAsync(withProducts: false, cancellationToken);
            using (var runner = new RunnerLayer(model, sizes, time))
            {
                _numerics = runner.Numerics.ToString();
                await RepeatAsync("runner", count => Task.FromResult(runner.Measure(count)), cancellationToken);
            }

            MeasureLimits();
            await using (var engine = new EngineLayer(model, sizes, time, logger))
                await RepeatAsync("engine", count => engine.MeasureAsync(count, cancellationToken), cancellationToken);
            if (!serving) continue;
            await using var server = await ServingLayer.StartAsync(model, sizes, time, cancellationToken);
            await RepeatAsync("serving", count => server.MeasureAsync(count, cancellationToken), cancellationToken);
        }

        MeasureLimits();
        return Report();
    }

    /// <summary>Limits first: their buffer is as large as the matrices.</summary>
    private async Task MeasureKernelsAsync(bool withProducts, CancellationToken cancellationToken)
    {
        using var kernels = new KernelLayer(model, sizes, time);
        _weightBytes = kernels.WeightBytes;
        MeasureLimits();
        foreach (var count in sizes.Concurrency)
        {
            _prefillFlops[count] = kernels.PrefillFlops(count);
            _stepFlops[count] = kernels.StepFlops(count);
        }

        await RepeatAsync("kernel", count => Task.FromResult(kernels.Measure(count)), cancellationToken);
        if (withProducts) _products = [.. kernels.MeasureProducts()];
    }

    private async Task RepeatAsync(
        string layer, Func<int, Task<BenchRound>> measure, CancellationToken cancellationToken)
    {
        // One round for the compiler and the first touch of memory.
        await measure(sizes.Concurrency[0]);
        foreach (var count in sizes.Concurrency)
        {
            if (!_measured.TryGetValue((layer, count), out var rounds)) _measured.Add((layer, count), rounds = []);
            for (var round = 0; round < sizes.Repeats; round++)
            {
                cancellationToken.ThrowIfCancellationRequested();
                rounds.Add(await measure(count));
            }
        }
    }

    private void MeasureLimits() => _limits = _limits.Best(MachineLimits.Measure(
        sizes.ReadBytes ?? Math.Max(_weightBytes, BenchSizes.MinReadBytes), sizes.Threads, sizes.Repeats, time));

    private BenchReport Report() => new()
    {
        Model = model.Name,
        Numerics = _numerics,
        Threads = sizes.Threads,
        PromptTokens = sizes.PromptTokens,
        OutputTokens = sizes.OutputTokens,
        StepTokens = sizes.StepTokens,
        Repeats = sizes.Repeats,
        WeightBytesPerStep = _weightBytes,
        Limits = _limits,
        Results =
        [
            .. sizes.Concurrency.Select(count => Limit(_limits, count)),
            .. _measured.Select(measured => Figures(measured.Key.Layer, measured.Key.Concurrency, measured.Value)),
        ],
        Products = _products,
    };

    private LayerFigures Figures(string layer, int concurrency, IReadOnlyList<BenchRound> rounds)
    {
        var prefill = rounds.Min(round => round.PrefillSeconds);
        var decode = rounds.MinBy(round => round.DecodeSeconds)!;
        var stepSeconds = decode.DecodeSeconds / decode.StepMs.Length;
        return new LayerFigures
        {
            Layer = layer,
            Concurrency = concurrency,
            PrefillTokensPerSecond = (double)concurrency * sizes.PromptTokens / prefill,
            DecodeTokensPerSecond = concurrency / stepSeconds,
            StepP50Ms = decode.StepMs.Order().ElementAt(decode.StepMs.Length / 2),
            Gflops = _prefillFlops[concurrency] / prefill / 1e9,
            GigabytesPerSecond = _weightBytes / stepSeconds / 1e9,
            AllocatedBytesPerStep = layer == "serving" ? null : (double)decode.AllocatedBytes / decode.StepMs.Length,
        };
    }

    /// <summary>What the products would take at the machine's limits: a prefill its operations, a decode step its
    /// operations or its reads, whichever take longer.</summary>
    private LayerFigures Limit(MachineLimits limits, int concurrency)
    {
        var prefillSeconds = _prefillFlops[concurrency] / (limits.Gflops * 1e9);
        var stepSeconds = Math.Max(
            _weightBytes / (limits.GigabytesPerSecond * 1e9), _stepFlops[concurrency] / (limits.Gflops * 1e9));
        return new LayerFigures
        {
            Layer = "limit",
            Concurrency = concurrency,
            PrefillTokensPerSecond = concurrency * sizes.PromptTokens / prefillSeconds,
            DecodeTokensPerSecond = concurrency / stepSeconds,
            StepP50Ms = stepSeconds * 1e3,
            Gflops = limits.Gflops,
            GigabytesPerSecond = limits.GigabytesPerSecond,
            AllocatedBytesPerStep = 0,
        };
    }
}
