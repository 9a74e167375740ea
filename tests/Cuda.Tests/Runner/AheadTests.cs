using Krewe.Abstractions.Wire;
using Krewe.Kernels;
using Krewe.Kernels.Cuda;
using Krewe.Workers;
using Krewe.Workers.Tests.Runner;
using Microsoft.Extensions.Logging.Abstractions;
using static Krewe.Cuda.Tests.Runner.EmulatedRunner;
using Sequence = Krewe.Workers.Tests.Runner.Sequence;

namespace Krewe.Cuda.Tests.Runner;

/// <summary>Steps queued behind one whose tokens the host does not know, on the emulated GPU.</summary>
[Collection(EmulatedGpuDefinition.Name)]
public sealed class AheadTests : IDisposable
{
    private readonly EmulatedRunner _it = new();
    private readonly int[] _prompt;

    public AheadTests() => _prompt = _it.Prompt("What is 7 plus 5?");

    public void Dispose() => _it.Dispose();

    [EmulatedFact]
    public void A_step_goes_on_from_tokens_that_the_host_has_not_seen()
    {
        var runner = _it.Create();
        var expected = new Sequence(runner, _prompt, Blocks(runner, 1)).Decode(6);
        var decode = new Decode(runner, _prompt, Blocks(runner, 2));
        _it.Emulator.Forget();
        Assert.True(decode.TryQueue());
        for (var token = 0; token < 6; token++)
        {
            Assert.True(decode.TryQueue());
            // There is no third place, and no step of the other kind between.
            Assert.False(decode.TryQueue());
            Assert.Throws<InvalidOperationException>(() => runner.Run(new StepBatch()));
            decode.Finish();
        }

        Assert.Equal(expected, decode.Tokens);
        var calls = _it.Emulator.Calls();
        // Two launches before the first wait, which is for an event: nothing waits for the whole stream.
        Assert.Equal(2, calls.TakeWhile(call => call != "cuEventSynchronize").Count(call => call == "cuGraphLaunch"));
        Assert.DoesNotContain("cuStreamSynchronize", calls);
        runner.Abandon();
    }

    /// <summary>The first GPU draws; the others go on from what it drew.</summary>
    [EmulatedFact]
    public void Two_GPUs_go_on_from_tokens_that_the_host_has_not_seen()
    {
        _it.Emulator.Set(devices: 2);
        var runner = _it.Create(Options with { Devices = [0, 1] });
        var expected = new Sequence(runner, _prompt, Blocks(runner, 1)).Decode(6);
        var decode = new Decode(runner, _prompt, Blocks(runner, 2));
        _it.Emulator.Forget();
        Assert.True(decode.TryQueue());
        for (var token = 0; token < 6; token++)
        {
            Assert.True(decode.TryQueue());
            Assert.False(decode.TryQueue());
            decode.Finish();
        }

        Assert.Equal(expected, decode.Tokens);
        Assert.DoesNotContain("cuStreamSynchronize", _it.Emulator.Calls());
        runner.Abandon();
    }

    [EmulatedFact]
    public void A_step_of_two_GPUs_that_needs_more_memory_is_queued_on_neither()
    {
        _it.Emulator.Set(devices: 2);
        var runner = _it.Create(Options with { Devices = [0, 1] });
        var decode = new Decode(runner, _prompt, Blocks(runner, 1));
        Assert.True(decode.TryQueue());
        var large = Large(runner, out var row);
        Assert.False(runner.TryQueue(large));
        decode.Finish();
        runner.Run(large);
        var token = large.SampledOf(row);
        Assert.NotNull(token);
        // Room that lacks on one GPU: neither queues, and the next step is as if nothing had been.
        var wider = Large(runner, out row, tables: 5000);
        _it.Emulator.Fail("cuMemAlloc_v2", 14, 2);
        Assert.Throws<CudaException>(() => runner.TryQueue(wider));
        Assert.DoesNotContain("ncclCommAbort", _it.Emulator.Calls());
        Assert.True(runner.TryQueue(large));
        runner.Finish();
        Assert.Equal(token, large.SampledOf(row));
    }

    [EmulatedFact]
    public void A_step_that_needs_more_memory_waits_until_nothing_is_under_way()
    {
        var runner = _it.Create();
        var decode = new Decode(runner, _prompt, Blocks(runner, 1));
        Assert.True(decode.TryQueue());
        var large = Large(runner, out var row);

        Assert.False(runner.TryQueue(large));
        decode.Finish();
        runner.Run(large);
        var token = large.SampledOf(row);
        Assert.NotNull(token);
        Assert.True(runner.TryQueue(large));
        runner.Finish();
        Assert.Equal(token, large.SampledOf(row));
    }

    [EmulatedFact]
    public void A_step_ahead_that_fails_leaves_the_one_before_whole()
    {
        var runner = _it.Create(Options with { Graphs = false });
        var expected = new Sequence(runner, _prompt, Blocks(runner, 1)).Decode(2);
        var decode = new Decode(runner, _prompt, Blocks(runner, 2));
        Assert.True(decode.TryQueue());
        _it.Emulator.Fail("cuLaunchKernel", 9, 1);
        Assert.Throws<CudaException>(() => decode.TryQueue());
        decode.Finish();

        Assert.Equal(expected[..1], decode.Tokens);
        Assert.True(decode.TryQueueAgain());
        decode.Finish();
        Assert.Equal(expected, decode.Tokens);
    }

    [EmulatedFact]
    public void A_context_that_breaks_under_way_ends_the_worker()
    {
        var runner = _it.Create();
        var decode = new Decode(runner, _prompt, Blocks(runner, 1));
        Assert.True(decode.TryQueue());
        _it.Emulator.Fail("cuEventSynchronize", 0, 719);
        Assert.Throws<DeviceLostException>(decode.Finish);
    }

    /// <summary>The other GPU waits in an exchange then: whoever waits for it first would wait for ever.</summary>
    [EmulatedTheory]
    [InlineData(0, 0)]
    [InlineData(1, 0)]
    [InlineData(1, 30)]
    public async Task A_GPU_that_dies_under_way_ends_the_worker_and_leaves_nobody_waiting(int device, int after)
    {
        _it.Emulator.Set(devices: 2);
        var runner = _it.Create(Options with { Devices = [0, 1] });
        var decode = new Decode(runner, _prompt, Blocks(runner, 1));
        Assert.True(decode.TryQueue());
        Assert.True(decode.TryQueue());
        _it.Emulator.Die(device, after, 719);
        var lost = await Assert.ThrowsAsync<DeviceLostException>(
            () => Task.Run(decode.Finish).WaitAsync(TimeSpan.FromMinutes(2)));
        Assert.Contains($"a step on GPU {device}", lost.Message);
        Assert.Equal(2, _it.Emulator.Calls().Count(made => made == "ncclCommAbort"));
        // And none of them fails one sequence after the other.
        await Task.Run(runner.Abandon).WaitAsync(TimeSpan.FromMinutes(2));
        Assert.Throws<DeviceLostException>(() => decode.TryQueue());
        Assert.Throws<DeviceLostException>(() => runner.Run(new StepBatch()));
    }

    [EmulatedFact]
    public async Task Steps_that_are_given_up_leave_nobody_waiting_for_a_GPU_that_died()
    {
        _it.Emulator.Set(devices: 2);
        var runner = _it.Create(Options with { Devices = [0, 1] });
        var decode = new Decode(runner, _prompt, Blocks(runner, 1));
        Assert.True(decode.TryQueue());
        _it.Emulator.Die(1, 20, 719);
        await Task.Run(runner.Abandon).WaitAsync(TimeSpan.FromMinutes(2));
        Assert.Throws<DeviceLostException>(() => decode.TryQueue());
    }

    [EmulatedFact]
    public async Task The_engine_gives_the_CPUs_answers_while_it_is_a_step_ahead()
    {
        var (gpu, cpu) = (_it.Create(), _it.CreateCpu());
        int[] stop = [.. _it.Model.StopTokenIds];
        var samples = TinyModel.Samples().Take(3).Select(sample => _it.Prompt(sample.Question)).ToArray();
        var expected = samples.Select(prompt => new Sequence(cpu, prompt, Blocks(cpu, 1)).Decode(12, stop)).ToArray();
        await using var engine = new Engine(
            gpu, new EngineSettings
            {
                Role = Krewe.Abstractions.WorkerRole.Mixed,
                ModelFingerprint = "model",
                EndTokens = stop,
            }, pulls: null, hold: null, TimeProvider.System, NullLogger.Instance);
        var owner = new Answers();
        for (var i = 0; i < samples.Length; i++)
        {
            var start = new StartSequence
            {
                Key = new SequenceKey { RequestId = $"{i}", Epoch = 1 },
                Part = SequencePart.Whole,
                Sampling = new SamplingParameters { TopP = 1, RepetitionPenalty = 1, Seed = 7 },
                MaxOutputTokens = 12,
            };
            start.PromptTokens.Add(samples[i].Select(token => (uint)token));
            engine.Post(new EngineCommand.Start(owner, start));
            engine.Turn();
        }

        while (engine.Turn()) engine.CheckIntegrity();
        for (var i = 0; i < samples.Length; i++)
            Assert.Equal(expected[i], owner.Tokens[$"{i}"].TakeWhile(token => !stop.Contains(token)));
        Assert.True(engine.StepsAhead > 4, $"{engine.StepsAhead} steps were ahead");
        Assert.Equal(0, engine.Load.PinnedBlocks);
    }

    /// <summary>A step with a table longer than there was room for so far.</summary>
    private static StepBatch Large(CudaModelRunner runner, out int row, int tables = 1100)
    {
        var large = new StepBatch();
        var table = Enumerable.Repeat(Blocks(runner, 2)[0], tables).ToArray();
        row = large.Add([40], 0, table, 16, wantLogits: true)!.Value;
        large.SetDraw(row, SampleDraw.Of(new SamplerSettings { Temperature = 0 }, 0)!.Value);
        return large;
    }

    /// <summary>One greedy stream, a step ahead of itself.</summary>
    private sealed class Decode
    {
        private readonly CudaModelRunner _runner;
        private readonly int[] _blocks;
        private readonly StepBatch[] _batches = [new(), new()];
        private readonly Sequence _sequence;
        private int _queued;
        private int _position;

        public Decode(CudaModelRunner runner, int[] prompt, int[] blocks)
        {
            (_runner, _blocks, _position) = (runner, blocks, prompt.Length);
            _sequence = new Sequence(runner, prompt, blocks);
            _sequence.Prefill();
            _sequence.Rewind(1);
        }

        public List<int> Tokens { get; } = [];

        public bool TryQueue()
        {
            var batch = _batches[_queued % 2];
            if (_queued - Tokens.Count == 2) batch = new StepBatch();
            batch.Clear();
            var row = _queued == 0
                ? _sequence.AddTo(batch)!.Value
                : batch.AddDrawn(0, _position, _blocks.AsSpan(0, (_position / 16) + 1), 16);
            return Take(batch, row);
        }

        /// <summary>The step once more, now that the token before it is known.</summary>
        public bool TryQueueAgain()
        {
            var batch = _batches[_queued % 2];
            batch.Clear();
            var row = batch.Add(
                [Tokens[^1]], _position, _blocks.AsSpan(0, (_position / 16) + 1), 16, wantLogits: true)!.Value;
            return Take(batch, row);
        }

        public void Finish()
        {
            var batch = _batches[Tokens.Count % 2];
            _runner.Finish();
            Tokens.Add(batch.SampledOf(0)!.Value);
        }

        private bool Take(StepBatch batch, int row)
        {
            batch.SetDraw(row, SampleDraw.Of(new SamplerSettings { Temperature = 0 }, _queued)!.Value);
            if (!_runner.TryQueue(batch)) return false;
            if (_queued++ > 0) _position++;
            return true;
        }
    }

    private sealed class Answers : ISequenceOwner
    {
        public Dictionary<string, List<int>> Tokens { get; } = [];

        public void Deliver(TokenBatch tokens)
        {
            foreach (var run in tokens.Runs)
            {
                if (!Tokens.TryGetValue(run.Key.RequestId, out var known))
                    Tokens.Add(run.Key.RequestId, known = []);
                known.AddRange(run.Tokens.Select(token => (int)token));
            }
        }

        public void Deliver(SequenceEvent change)
        {
            // What is told of a sequence beside its tokens is not of interest here.
        }
    }
}
