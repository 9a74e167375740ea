using System.Diagnostics;

namespace Krewe.Workers.Tests.Runner;

public sealed class ComputeThreadsTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    public void Every_share_of_every_phase_runs_once_and_none_before_all_of_the_phase_before(int threads)
    {
        using var crew = new ComputeThreads(threads);
        var program = new CountingProgram(threads, phases: 40);
        for (var run = 1; run <= 500; run++)
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

    /// <summary>A thread that was parked needs longer to wake than the others wait for it, now and then at
    /// least.</summary>
    [Fact]
    public void Who_waits_takes_the_shares_of_a_thread_that_is_late()
    {
        using var crew = new ComputeThreads(2);
        var program = new ThreadsProgram();
        var clock = Stopwatch.StartNew();
        while (program.Threads[0] != program.Threads[1])
        {
            Assert.True(clock.Elapsed < TimeSpan.FromMinutes(2), "The second thread was never late.");
            Thread.Sleep(1);
            crew.Run(program);
        }
    }

    [Fact]
    public void Shares_stay_with_their_threads_where_that_is_asked_for()
    {
        using var crew = new ComputeThreads(2, ownSharesOnly: true);
        var program = new ThreadsProgram();
        crew.Run(program);
        int[] threads = [.. program.Threads];
        Assert.NotEqual(threads[0], threads[1]);
        for (var run = 0; run < 200; run++)
        {
            Thread.Sleep(1);
            crew.Run(program);
            Assert.Equal(threads, program.Threads);
        }
    }

    [Fact]
    public void A_fault_of_any_share_reaches_the_caller_and_the_crew_goes_on()
    {
        using var crew = new ComputeThreads(3);
        for (var share = 0; share < 3; share++)
        {
            var error = Assert.Throws<InvalidOperationException>(() => crew.Run(new FaultyProgram(share)));
            Assert.Equal($"share {share}", error.Message);
            crew.Run(new CountingProgram(threads: 3, phases: 4));
        }
    }

    [Fact]
    public void A_thousand_programs_allocate_nothing_on_any_thread()
    {
        using var crew = new ComputeThreads(3);
        // A thread's first real wait allocates once, whenever the machine is busy enough for one to come about. What a
        // program allocates shows in every thousand of them.
        var windows = new List<long>();
        for (var window = 0; window < 3; window++)
        {
            using var program = new AllocationProgram();
            for (var run = 0; run < 1010; run++) crew.Run(program);
            windows.Add(program.Allocated);
        }

        Assert.Contains(0, windows);
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

        public void RunPhase(int phase, int share)
        {
            var before = phase == 0 ? 0 : Volatile.Read(ref _finished[phase - 1]);
            if (phase > 0 && before != threads * (Runs[(phase * threads) + share] + 1)) SawAnUnfinishedPhase = true;
            Runs[(phase * threads) + share]++;
            Interlocked.Increment(ref _finished[phase]);
        }
    }

    /// <summary>Which thread ran which share.</summary>
    private sealed class ThreadsProgram : IStepProgram
    {
        public int[] Threads { get; } = [1, 2];

        public int PhaseCount => 1;

        public void RunPhase(int phase, int share) => Threads[share] = Environment.CurrentManagedThreadId;
    }

    /// <summary>Bytes that threads have allocated between the shares that they ran, from each thread's tenth
    /// on.</summary>
    private sealed class AllocationProgram : IStepProgram, IDisposable
    {
        private readonly ThreadLocal<Thrift> _threads = new(() => new Thrift(), trackAllValues: true);

        public long Allocated => _threads.Values.Sum(thread => thread.Last - thread.First);

        public int PhaseCount => 1;

        public void RunPhase(int phase, int share)
        {
            var thread = _threads.Value!;
            thread.Last = GC.GetAllocatedBytesForCurrentThread();
            if (++thread.Shares <= 10) thread.First = thread.Last;
        }

        public void Dispose() => _threads.Dispose();

        private sealed class Thrift
        {
            public int Shares { get; set; }

            public long First { get; set; }

            public long Last { get; set; }
        }
    }

    private sealed class FaultyProgram(int faulty) : IStepProgram
    {
        public int PhaseCount => 3;

        public void RunPhase(int phase, int share)
        {
            if (phase == 1 && share == faulty) throw new InvalidOperationException($"share {share}");
        }
    }
}
