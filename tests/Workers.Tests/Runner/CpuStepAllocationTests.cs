using Krewe.Abstractions;
using Krewe.Kernels;

namespace Krewe.Workers.Tests.Runner;

/// <summary>No thread of a step allocates once the buffers have their size.</summary>
public sealed class CpuStepAllocationTests
{
    private const int Threads = 2;

    [Theory]
    [InlineData(ServedWeights.Stored)]
    [InlineData(ServedWeights.Int8)]
    public void A_thousand_steps_of_two_threads_allocate_nothing(ServedWeights form)
    {
        using var model = TinyModel.Open();
        var config = model.Config;
        var geometry = new KvGeometry(config.Layers, config.KvHeads, config.HeadDim, 16, KvFormat.BF16);
        using var arena = new CpuKvArena(geometry, 64L * geometry.BlockBytes);
        using var weights = CpuWeightLoader.Load(model, CpuKernels.Best, form);
        using var step = new CpuStep(config, CpuKernels.Best, weights, arena, Threads);
        using var crew = new ComputeThreads(Threads);
        var measured = new MeasuredProgram(step);
        var batch = new StepBatch();
        // A decode of three sequences and a chunk of a prompt, at positions that go round.
        int[][] tables = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]];
        for (var i = 0; i < 60; i++) Step(i);
        // A collection in between, for another test's sake, counts what a thread's own allocation buffer had left. What
        // a step allocates shows in every thousand of them.
        var windows = new List<long>();
        for (var window = 0; window < 3; window++)
        {
            measured.Reset();
            for (var i = 0; i < 1000; i++) Step(i % 60);
            windows.Add(measured.Allocated.Sum());
        }

        Assert.Contains(0, windows);

        void Step(int position)
        {
            batch.Clear();
            foreach (var table in tables[..3]) batch.Add([position], position, table, 16, wantLogits: true);
            batch.Add([1, 2, 3, 4], position, tables[3], 16, wantLogits: false);
            batch.ReserveLogits(config.VocabularySize);
            step.Prepare(batch);
            crew.Run(measured);
        }
    }

    [Fact]
    public void The_measure_sees_a_program_that_allocates()
    {
        var measured = new MeasuredProgram(new WastefulProgram());
        using var crew = new ComputeThreads(Threads);
        crew.Run(measured);
        Assert.All(measured.Allocated, bytes => Assert.True(bytes > 0));
    }

    /// <summary>Counts what is allocated inside the phases of another program.</summary>
    private sealed class MeasuredProgram(IStepProgram inner) : IStepProgram
    {
        public long[] Allocated { get; } = new long[Threads];

        public int PhaseCount => inner.PhaseCount;

        public void Reset() => Array.Clear(Allocated);

        public void RunPhase(int phase, int share)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            inner.RunPhase(phase, share);
            Allocated[share] += GC.GetAllocatedBytesForCurrentThread() - before;
        }
    }

    private sealed class WastefulProgram : IStepProgram
    {
        private readonly object?[] _kept = new object?[Threads];

        public int PhaseCount => 1;

        public void RunPhase(int phase, int share) => _kept[share] = new object();
    }
}
