namespace Krewe.Cli;

/// <summary>
/// The time in which all streams decode and none is in prefill: opened by the stream whose first token comes last,
/// closed by that stream's last step. Sequences advance in lockstep, so its gaps are the steps of all. Thread-safe.
/// </summary>
internal sealed class DecodeWindow(int streams, int steps, TimeProvider time)
{
    private readonly Lock _gate = new();
    private readonly bool[] _hasBegun = new bool[streams];
    private readonly double[] _stepMs = new double[steps];
    private readonly long _begun = time.GetTimestamp();
    private int _waiting = streams;
    private int? _opener;
    private int _step;
    private long _previous;
    private double _prefillSeconds;
    private long _allocated;

    public bool IsClosed { get; private set; }

    /// <summary>A token of a stream has come; false when no more are wanted.</summary>
    public bool Arrive(int stream)
    {
        lock (_gate)
        {
            if (IsClosed) return false;
            if (!_hasBegun[stream]) Begin(stream);
            else if (_opener == stream) Advance();
            return !IsClosed;
        }
    }

    /// <exception cref="InvalidOperationException">The streams ended before the window did.</exception>
    public BenchRound ToRound() => IsClosed
        ? new BenchRound(_prefillSeconds, _stepMs, _allocated)
        : throw new InvalidOperationException("The streams ended before all of them had decoded long enough.");

    private void Begin(int stream)
    {
        _hasBegun[stream] = true;
        if (--_waiting > 0) return;
        _opener = stream;
        _prefillSeconds = time.GetElapsedTime(_begun).TotalSeconds;
        _allocated = GC.GetTotalAllocatedBytes(precise: true);
        _previous = time.GetTimestamp();
    }

    private void Advance()
    {
        var now = time.GetTimestamp();
        _stepMs[_step++] = time.GetElapsedTime(_previous, now).TotalMilliseconds;
        _previous = now;
        if (_step < steps) return;
        _allocated = GC.GetTotalAllocatedBytes(precise: true) - _allocated;
        IsClosed = true;
    }
}
