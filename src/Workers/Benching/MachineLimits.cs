using Krewe.Kernels;

namespace Krewe.Workers;

/// <summary>
/// What this machine's memory and multiply-add units give at most to a number of threads: the best run of two loops
/// that do nothing else. They run on the worker's own <see cref="ComputeThreads"/>, so that the limit and what is held
/// against it have the same threads.
/// </summary>
/// <param name="GigabytesPerSecond">Reads from memory, 10^9 bytes.</param>
/// <param name="Gflops">F32 multiply-adds, 10^9 operations a second; a multiply-add is two.</param>
public sealed record MachineLimits(double GigabytesPerSecond, double Gflops)
{
    private const int FusedRunsPerPass = 20;

    private static readonly int[] StreamCounts = [1, 4];

    /// <summary>Takes <paramref name="readBytes"/> of memory and gives it back.</summary>
    /// <param name="readBytes">Size of the buffer that is read; far more than the caches hold.</param>
    /// <param name="passes">How often the buffer is read; the best slice counts.</param>
    public static MachineLimits Measure(long readBytes, int threads, int passes, TimeProvider time)
    {
        using var crew = new ComputeThreads(threads);
        using var buffer = new NativeArray<byte>(readBytes);
        var bandwidth = 0.0;
        // One stream or four a thread: which of them the prefetchers serve better differs between processors.
        foreach (var streams in StreamCounts)
        {
            var reads = new ReadProgram(buffer, threads, streams);
            var seconds = BestSeconds(passes * reads.Slices, time, () =>
            {
                crew.Run(reads);
                reads.Advance();
            });
            bandwidth = Math.Max(bandwidth, reads.Bytes / seconds);
        }

        var products = new FusedProgram(threads);
        var flops = products.Flops / BestSeconds(passes * FusedRunsPerPass, time, () => crew.Run(products));
        return new MachineLimits(bandwidth / 1e9, flops / 1e9);
    }

    /// <summary>The better of two measurements, figure by figure.</summary>
    public MachineLimits Best(MachineLimits other) => new(
        Math.Max(GigabytesPerSecond, other.GigabytesPerSecond), Math.Max(Gflops, other.Gflops));

    private static double BestSeconds(int runs, TimeProvider time, Action run)
    {
        var best = double.PositiveInfinity;
        for (var i = 0; i < runs; i++)
        {
            var begun = time.GetTimestamp();
            run();
            best = Math.Min(best, time.GetElapsedTime(begun).TotalSeconds);
        }

        return best;
    }
}
