using System.Diagnostics.CodeAnalysis;
using System.Runtime.ExceptionServices;

namespace Krewe.Workers;

/// <summary>
/// A fixed crew of threads that runs programs phase by phase; the caller of <see cref="Run"/> is thread 0. Between
/// phases they meet at a barrier: spinning first, because a phase of a decode step lasts microseconds, then parked.
/// Takes no lock and allocates nothing.
/// </summary>
internal sealed class ComputeThreads : IDisposable
{
    /// <summary>About 50 microseconds on current processors: more than the imbalance of a decode step's
    /// phases.</summary>
    private const int SpinsBeforePark = 2000;

    /// <summary>Lets another thread have the core now and then, where there are more threads than cores.</summary>
    private const int SpinsBetweenYields = 100;

    private readonly Thread[] _threads;
    private readonly ParkingPlace[] _parking;
    private readonly IReadOnlyList<int> _cores;
    private bool _callerIsBound;
    private IStepProgram? _program;
    private ExceptionDispatchInfo? _fault;
    private volatile bool _stopping;
    private int _missing;
    private int _generation;

    /// <param name="count">Threads, the caller of <see cref="Run"/> included.</param>
    /// <param name="cores">A core for each thread to be bound to; empty = wherever the system puts them.</param>
    /// <exception cref="Abstractions.KreweException">A core is not this process's to use.</exception>
    public ComputeThreads(int count, IReadOnlyList<int>? cores = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        _cores = cores ?? [];
        if (_cores.Count > 0)
        {
            ArgumentOutOfRangeException.ThrowIfNotEqual(_cores.Count, count, nameof(cores));
            ThreadAffinity.Demand(_cores);
        }

        Count = count;
        _missing = count;
        _parking = new ParkingPlace[count];
        for (var i = 0; i < count; i++)
            _parking[i] = new ParkingPlace();
        _threads = new Thread[count - 1];
        for (var i = 0; i < _threads.Length; i++)
        {
            var index = i + 1;
            _threads[i] = new Thread(() => Serve(index)) { IsBackground = true, Name = $"krewe-compute-{index}" };
            _threads[i].Start();
        }
    }

    public int Count { get; }

    /// <summary>Runs all phases; an exception of any thread ends the program and comes out here. Always the same thread
    /// calls it where threads are bound to cores.</summary>
    public void Run(IStepProgram program)
    {
        if (!_callerIsBound) BindCaller();
        _program = program;
        _fault = null;
        Meet(thread: 0);
        RunPhases(program, thread: 0);
        _program = null;
        _fault?.Throw();
    }

    public void Dispose()
    {
        if (_stopping) return;
        _stopping = true;
        Meet(thread: 0);
        foreach (var thread in _threads)
            thread.Join();
        foreach (var place in _parking)
            place.Dispose();
    }

    private void BindCaller()
    {
        if (_cores.Count > 0) ThreadAffinity.BindCallingThread(_cores[0]);
        _callerIsBound = true;
    }

    private void Serve(int thread)
    {
        if (_cores.Count > 0) ThreadAffinity.BindCallingThread(_cores[thread]);
        while (true)
        {
            Meet(thread);
            if (_stopping) return;
            RunPhases(_program!, thread);
        }
    }

    private void RunPhases(IStepProgram program, int thread)
    {
        for (var phase = 0; phase < program.PhaseCount; phase++)
        {
            // After a fault the phases are skipped, not the meetings: all threads stay in step for the next program.
            if (Volatile.Read(ref _fault) is null) RunPhase(program, phase, thread);
            Meet(thread);
        }
    }

    [SuppressMessage("Design", "CA1031", Justification = "Run throws it again on the caller's thread.")]
    private void RunPhase(IStepProgram program, int phase, int thread)
    {
        try
        {
            program.RunPhase(phase, thread);
        }
        catch (Exception exception)
        {
            Interlocked.CompareExchange(ref _fault, ExceptionDispatchInfo.Capture(exception), null);
        }
    }

    /// <summary>Returns when all threads have called it.</summary>
    private void Meet(int thread)
    {
        var generation = Volatile.Read(ref _generation);
        if (Interlocked.Decrement(ref _missing) > 0)
        {
            Await(generation, thread);
            return;
        }

        _missing = Count;
        Interlocked.Increment(ref _generation);
        foreach (var place in _parking)
            place.Wake();
    }

    private void Await(int generation, int thread)
    {
        for (var spin = 1; spin <= SpinsBeforePark; spin++)
        {
            if (Volatile.Read(ref _generation) != generation) return;
            if (spin % SpinsBetweenYields == 0)
                Thread.Yield();
            else
                Thread.SpinWait(1);
        }

        _parking[thread].Park(ref _generation, generation);
    }

    /// <summary>Where one thread sleeps. Invariant: the flag is up from before the thread's last look at the generation
    /// until whoever changes the generation, or the thread itself, takes it down.</summary>
    private sealed class ParkingPlace : IDisposable
    {
        private readonly AutoResetEvent _wake = new(initialState: false);
        private int _parked;

        public void Park(ref int generation, int seen)
        {
            Interlocked.Exchange(ref _parked, 1);
            // A change before the flag was up wakes nobody; if the flag is still up, no signal is on its way.
            if (Volatile.Read(ref generation) != seen && Interlocked.Exchange(ref _parked, 0) == 1) return;
            _wake.WaitOne();
        }

        public void Wake()
        {
            if (Volatile.Read(ref _parked) == 1 && Interlocked.Exchange(ref _parked, 0) == 1) _wake.Set();
        }

        public void Dispose() => _wake.Dispose();
    }
}
