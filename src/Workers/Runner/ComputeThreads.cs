using System.Diagnostics.CodeAnalysis;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace Krewe.Workers;

/// <summary>
/// A fixed crew of threads that runs programs phase by phase; the caller of <see cref="Run"/> is thread 0. Each thread
/// takes the share of its own number, and then those of threads that have not come: a thread that the system keeps from
/// its core, on a machine that others use too, holds nobody up unless it was stopped inside a share, or while it opened
/// a phase. Whoever ends a phase opens the next. Who waits spins first, because a phase of a decode step lasts
/// microseconds, and then parks. Takes no lock and allocates nothing.
/// </summary>
/// <remarks>
/// Phases are counted over the crew's whole life. Invariant: a share can be taken in the open phase only (its last
/// taking is of an earlier one), and once; the phase stays open, its program running, until all its shares are done. So
/// a thread that looked at the open phase and then slept takes nothing that is over. Between programs every share of
/// the open phase counts as taken.
/// </remarks>
internal sealed class ComputeThreads : IDisposable
{
    /// <summary>About 50 microseconds on current processors: more than the imbalance of a decode step's
    /// phases.</summary>
    private const int SpinsBeforePark = 2000;

    /// <summary>About 5 microseconds: a thread that runs has come by then.</summary>
    private const int SpinsBeforeHelp = 200;

    /// <summary>Lets another thread have the core now and then, where there are more threads than cores.</summary>
    private const int SpinsBetweenYields = 100;

    private readonly Thread[] _threads;
    private readonly ParkingPlace[] _parking;
    private readonly Share[] _shares;
    private readonly bool _ownSharesOnly;
    private readonly IReadOnlyList<int> _cores;
    private bool _callerIsBound;
    private IStepProgram? _program;
    private ExceptionDispatchInfo? _fault;
    private volatile bool _stopping;
    private long _openPhase;
    private long _firstPhase;
    private int _undone;

    /// <param name="count">Threads, the caller of <see cref="Run"/> included.</param>
    /// <param name="cores">A core for each thread to be bound to; empty = wherever the system puts them.</param>
    /// <param name="ownSharesOnly">No thread takes another's share: for programs whose shares wait for each other, or
    /// belong to their threads.</param>
    /// <exception cref="Abstractions.KreweException">A core is not this process's to use.</exception>
    public ComputeThreads(int count, IReadOnlyList<int>? cores = null, bool ownSharesOnly = false)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        _cores = cores ?? [];
        if (_cores.Count > 0)
        {
            ArgumentOutOfRangeException.ThrowIfNotEqual(_cores.Count, count, nameof(cores));
            ThreadAffinity.Demand(_cores);
        }

        Count = count;
        _ownSharesOnly = ownSharesOnly;
        _shares = new Share[count];
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

    /// <summary>Runs all phases; an exception of any share ends the program and comes out here. Always the same thread
    /// calls it where threads are bound to cores.</summary>
    public void Run(IStepProgram program)
    {
        if (!_callerIsBound) BindCaller();
        if (program.PhaseCount == 0) return;
        _program = program;
        _fault = null;
        var first = _openPhase + 1;
        _firstPhase = first;
        Open(first);
        while (true)
        {
            var phase = Volatile.Read(ref _openPhase);
            if (phase == first + program.PhaseCount) break;
            RunShares(phase, thread: 0);
            Await(phase, thread: 0);
        }

        _program = null;
        _fault?.Throw();
    }

    public void Dispose()
    {
        if (_stopping) return;
        _stopping = true;
        Open(_openPhase + 1);
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
            var phase = Volatile.Read(ref _openPhase);
            // Raised before the phase that is opened last.
            if (_stopping) return;
            RunShares(phase, thread);
            Await(phase, thread);
        }
    }

    /// <summary>The thread's own share first, so that its memory stays near its core.</summary>
    private void RunShares(long phase, int thread)
    {
        TryRun(phase, thread);
        if (_ownSharesOnly || !IsStillOpen(phase, SpinsBeforeHelp, yields: false)) return;
        for (var other = 1; other < Count; other++)
            TryRun(phase, (thread + other) % Count);
    }

    private void TryRun(long phase, int share)
    {
        var taken = Volatile.Read(ref _shares[share].Taken);
        if (taken >= phase || Interlocked.CompareExchange(ref _shares[share].Taken, phase, taken) != taken) return;
        // After a fault the shares are not run, but counted: all threads stay in step for the next program.
        if (Volatile.Read(ref _fault) is null) RunShare(_program!, (int)(phase - _firstPhase), share);
        if (Interlocked.Decrement(ref _undone) == 0) EndPhase(phase);
    }

    [SuppressMessage("Design", "CA1031", Justification = "Run throws it again on the caller's thread.")]
    private void RunShare(IStepProgram program, int phase, int share)
    {
        try
        {
            program.RunPhase(phase, share);
        }
        catch (Exception exception)
        {
            Interlocked.CompareExchange(ref _fault, ExceptionDispatchInfo.Capture(exception), null);
        }
    }

    private void EndPhase(long phase)
    {
        var next = phase + 1;
        if (next == _firstPhase + _program!.PhaseCount)
        {
            for (var i = 0; i < Count; i++) _shares[i].Taken = next;
        }

        Open(next);
    }

    private void Open(long phase)
    {
        _undone = Count;
        Interlocked.Exchange(ref _openPhase, phase);
        foreach (var place in _parking)
            place.Wake();
    }

    /// <summary>Returns when the phase is over.</summary>
    private void Await(long phase, int thread)
    {
        if (IsStillOpen(phase, SpinsBeforePark, yields: true)) _parking[thread].Park(ref _openPhase, phase);
    }

    private bool IsStillOpen(long phase, int spins, bool yields)
    {
        for (var spin = 1; spin <= spins; spin++)
        {
            if (Volatile.Read(ref _openPhase) != phase) return false;
            if (yields && spin % SpinsBetweenYields == 0)
                Thread.Yield();
            else
                Thread.SpinWait(1);
        }

        return Volatile.Read(ref _openPhase) == phase;
    }

    /// <summary>The last phase in which the share was taken. On a cache line of its own: its thread writes it in every
    /// phase.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 128)]
    private struct Share
    {
        [FieldOffset(0)]
        public long Taken;
    }

    /// <summary>Where one thread sleeps. Invariant: the flag is up from before the thread's last look at the open phase
    /// until whoever opens another, or the thread itself, takes it down.</summary>
    private sealed class ParkingPlace : IDisposable
    {
        private readonly AutoResetEvent _wake = new(initialState: false);
        private int _parked;

        public void Park(ref long openPhase, long seen)
        {
            Interlocked.Exchange(ref _parked, 1);
            // A change before the flag was up wakes nobody; if the flag is still up, no signal is on its way.
            if (Volatile.Read(ref openPhase) != seen && Interlocked.Exchange(ref _parked, 0) == 1) return;
            _wake.WaitOne();
        }

        public void Wake()
        {
            if (Volatile.Read(ref _parked) == 1 && Interlocked.Exchange(ref _parked, 0) == 1) _wake.Set();
        }

        public void Dispose() => _wake.Dispose();
    }
}
