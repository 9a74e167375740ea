using Krewe.Abstractions;
using Krewe.Control.Tests;
using Krewe.Models;

namespace Krewe.Workers.Tests.Runner;

public sealed class CpuModelRunnerTests : IDisposable
{
    private readonly ModelFolder _model = TinyModel.Open();
    private readonly IModelRunner _runner;

    public CpuModelRunnerTests() =>
        _runner = ModelRunners.Create(_model, WorkerDevice.Cpu, KvFormat.BF16, 16, kvMemoryBytes: 4 << 20, threads: 1);

    public void Dispose()
    {
        _runner.Dispose();
        _model.Dispose();
    }

    [Fact]
    public void A_thousand_steps_in_a_steady_state_allocate_nothing()
    {
        var batch = new StepBatch();
        int[][] tables = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]];
        for (var step = 0; step < 50; step++) Step(step);
        Assert.Equal(0, Allocations.Of(() =>
        {
            for (var step = 0; step < 1000; step++) Step(step % 60);
        }));

        void Step(int position)
        {
            batch.Clear();
            foreach (var table in tables)
                batch.Add([position], position, table, 16, wantLogits: true);
            _runner.Run(batch);
        }
    }

    [Fact]
    public void The_numerics_say_what_decides_the_bits()
    {
        Assert.Equal("cpu", _runner.Numerics.Backend);
        Assert.Equal("BF16", _runner.Numerics.WeightFormat);
        Assert.Equal(KvFormat.BF16, _runner.Numerics.KvFormat);
        using var other = ModelRunners.Create(_model, WorkerDevice.Cpu, KvFormat.F32, 16, 4 << 20, threads: 1);
        Assert.NotEqual(_runner.Numerics, other.Numerics);
    }

    [Fact]
    public void A_chunk_without_logits_and_an_empty_step_are_fine()
    {
        var batch = new StepBatch();
        _runner.Run(batch);
        Assert.Null(batch.Add([1, 2, 3], 0, [0], 16, wantLogits: false));
        _runner.Run(batch);
    }

    [Theory]
    [InlineData(1024, 0, 0, "token id 1024")]
    [InlineData(-1, 0, 0, "token id -1")]
    [InlineData(1, 2048, 0, "position 2048")]
    [InlineData(1, 0, 100_000, "block id 100000")]
    public void Numbers_out_of_range_are_refused_by_name(int token, int position, int block, string words)
    {
        var batch = new StepBatch();
        batch.Add([token], position, [.. Enumerable.Repeat(block, 200)], 16, wantLogits: true);
        var error = Assert.Throws<KreweException>(() => _runner.Run(batch));
        Assert.Equal(ErrorCode.EngineFault, error.Code);
        Assert.Contains(words, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Options_that_do_not_fit_the_model_are_refused_by_name()
    {
        var blockTokens = Assert.Throws<KreweException>(
            () => ModelRunners.Create(_model, WorkerDevice.Cpu, kvFormat: null, blockTokens: 20, 4 << 20, 1));
        Assert.Contains("BlockTokens is 20", blockTokens.Message, StringComparison.Ordinal);
        var memory = Assert.Throws<KreweException>(
            () => ModelRunners.Create(_model, WorkerDevice.Cpu, kvFormat: null, 16, kvMemoryBytes: 100, 1));
        Assert.Contains("KvMemoryBytes is 100", memory.Message, StringComparison.Ordinal);
    }
}
