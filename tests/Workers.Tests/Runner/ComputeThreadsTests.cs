namespace Krewe.Workers.Tests.Runner;

public sealed class ComputeThreadsTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    public void Every_thread_runs_every_phase_once_and_none_before_all_have_left_the_last(int threads)
    {
        using var crew = new ComputeThreads(threads);
        var program = new CountingProgram(threads, phases: 40);
        for (var run = 1; run <= 50; run++)
        {
            crew.Run(program);
            Assert.All(program.Runs, runs => Assert.Equal(run, runs));
            Assert.False(program.SawAnUnfinishedPhase);
        }
    }

    [Fact]
    public void The_check_catches_a_crew_without_a_barrier()
    {
        var program = new CountingProgram(threads: 2, phases: 2);
        program.RunPhase(0, 0);
        program.RunPhase(1, 0);
        Assert.True(program.SawAnUnfinishedPhase);
    }

    [Fact]
    public void A_fault_of_any_thread_reaches_the_caller_and_the_crew_goes_on()
    {
        using var crew = new ComputeThreads(3);
        for (var thread = 0; thread < 3; thread++)
        {
            var error = Assert.Throws<InvalidOperationException>(() => crew.Run(new FaultyProgram(thread)));
            Assert.Equal($"thread {thread}", error.Message);
            crew.Run(new CountingProgram(threads: 3, phases: 4));
        }
    }

    [Fact]
    public void A_thousand_programs_allocate_nothing_on_any_thread()
    {
        using var crew = new ComputeThreads(3);
        // A thread's first real wait allocates once, whenever the machine is busy enough for one to come about. What a
        // program allocates shows in every thousand of them.
        var windows = new List<long[]>();
        for (var window = 0; window < 3; window++)
        {
            var program = new AllocationProgram(threads: 3);
            for (var run = 0; run < 1010; run++) crew.Run(program);
            windows.Add([.. program.Allocated]);
        }

        for (var thread = 0; thread < 3; thread++) Assert.Equal(0, windows.Min(allocated => allocated[thread]));
    }

    [Fact]
    public void Disposing_twice_and_without_a_run_is_allowed()
    {
        var crew = new ComputeThreads(2);
        crew.Dispose();
        crew.Dispose();
        Assert.Throws<ArgumentOutOfRangeException>(() => new ComputeThreads(0));
    }

    private sealed class CountingProgram(int threads, int phases) : IStepProgram
    {
        private readonly int[] _finished = new int[phases];

        public int[] Runs { get; } = new int[threads * phases];

        public bool SawAnUnfinishedPhase { get; private set; }

        public int PhaseCount => phases;

        public void RunPhase(int phase, int thread)
        {
            var before = phase == 0 ? 0 : Volatile.Read(ref _finished[phase - 1]);
            if (phase > 0 && before != threads * (Runs[(phase * threads) + thread] + 1)) SawAnUnfinishedPhase = true;
            Runs[(phase * threads) + thread]++;
            Interlocked.Increment(ref _finished[phase]);
        }
    }

    /// <summary>Bytes that each thread has allocated since its tenth run.</summary>
    private sealed class AllocationProgram(int threads) : IStepProgram
    {
        private readonly long[] _before = new long[threads];
        private readonly int[] _runs = new int[threads];

        public long[] Allocated { get; } = new long[threads];

        public int PhaseCount => 1;

        public void RunPhase(int phase, int thread)
        {
            var now = GC.GetAllocatedBytesForCurrentThread();
            if (++_runs[thread] <= 10) _before[thread] = now;
            Allocated[thread] = now - _before[thread];
        }
    }

    private sealed class FaultyProgram(int faulty) : IStepProgram
    {
        public int PhaseCount => 3;

        public void RunPhase(int phase, int thread)
        {
            if (phase == 1 && thread == faulty) throw new InvalidOperationException($"thread {thread}");
        }
    }
}
