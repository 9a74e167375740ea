namespace Krewe.Models;

/// <summary>
/// A <see cref="ByteAutomaton"/> that runs: its configurations are made deterministic one by one, as they are met, and
/// kept. What a configuration is depends on the automaton and the bytes alone, never on what was met before. One thread
/// at a time.
/// </summary>
internal sealed class LazyAutomaton
{
    /// <summary>
    /// Readings of one output that are followed at once. Of an output that can be read in more ways those with the
    /// longest way to an end are given up: what is written stays valid, only less may follow.
    /// </summary>
    private const int ReadingsMax = 32;

    /// <summary>The same for states that are passed without a byte; those on the nearest way are passed in any case.
    /// </summary>
    private const int PassedMax = 512;

    private readonly ByteAutomaton _automaton;
    private readonly Dictionary<(int, Frame?), Frame> _frames = [];
    private readonly Dictionary<ConfigurationKey, Configuration> _configurations = [];
    private readonly PriorityQueue<Reading, (int Distance, int Number)> _open = new();
    private readonly HashSet<Reading> _seen = [];
    private readonly List<Reading> _readings = [];

    /// <param name="automaton">What runs.</param>
    /// <param name="strippedSpaces">Spaces at the start of the output that are no part of its text.</param>
    public LazyAutomaton(ByteAutomaton automaton, int strippedSpaces)
    {
        _automaton = automaton;
        Dead = new Configuration([], accepts: false, ByteAutomaton.Never, automaton.ClassCount);
        Start = Close([new Reading(automaton.Start, null)]);
        for (; strippedSpaces > 0; strippedSpaces--)
        {
            var padded = new Configuration(
                Start.Readings, Start.Accepts, Start.Distance + 1, automaton.ClassCount)
            {
                IsPadded = true,
            };
            padded.Known[automaton.ClassOf((byte)' ')] = Start;
            Start = padded;
        }
    }

    public Configuration Start { get; }

    /// <summary>Nothing can follow, and the output is not whole.</summary>
    public Configuration Dead { get; }

    /// <summary>About how many bytes it takes.</summary>
    public long Bytes =>
        _configurations.Count * (200L + (8L * _automaton.ClassCount)) + (_frames.Count * 150L) + MaskBytes;

    /// <summary>Of that, masks.</summary>
    public long MaskBytes { get; set; }

    public Configuration Step(Configuration from, byte value)
    {
        var byteClass = _automaton.ClassOf(value);
        return from.Known[byteClass] ?? MakeStep(from, byteClass);
    }

    /// <summary>The same configuration among this one's; it is of another run of the same automaton.</summary>
    public Configuration Adopt(Configuration other) => Intern(
        [.. other.Readings.Select(reading => reading with { Calls = Adopt(reading.Calls) })], other.Accepts);

    private Frame? Adopt(Frame? frame)
    {
        var path = new Stack<int>();
        for (; frame is not null; frame = frame.Below) path.Push(frame.Return);
        Frame? adopted = null;
        while (path.TryPop(out var behind)) adopted = Push(behind, adopted);
        return adopted;
    }

    private Configuration MakeStep(Configuration from, int byteClass)
    {
        var targets = new List<Reading>(from.Readings.Length);
        foreach (var reading in from.Readings)
        {
            var next = _automaton.Next(reading.State, byteClass);
            if (next >= 0) targets.Add(reading with { State = next });
        }

        return from.Known[byteClass] = targets.Count == 0 ? Dead : Close(targets);
    }

    /// <summary>Follows calls and ends of rules, nearest to the output's end first, to where a byte is read.</summary>
    private Configuration Close(List<Reading> readings)
    {
        _open.Clear();
        _seen.Clear();
        _readings.Clear();
        var accepts = false;
        var nearest = readings.Min(DistanceOf);
        foreach (var reading in readings) Open(reading, nearest);
        while (_open.TryDequeue(out var reading, out var place))
        {
            var isFull = _readings.Count == ReadingsMax;
            if (isFull && (accepts || place.Distance > 0 || _seen.Count > PassedMax)) break;
            var (state, calls) = reading;
            if (_automaton.HasBytes[state] && !isFull) _readings.Add(reading);
            foreach (var call in _automaton.Calls(state))
            {
                // A call with nothing behind it needs no way back: a list by recursion keeps a flat stack.
                var frame = _automaton.IsFinal(call.Return) ? calls : Push(call.Return, calls);
                Open(new Reading(call.Rule, frame), nearest);
            }

            if (!_automaton.Accepts(state)) continue;
            if (calls is null) accepts = true;
            else Open(new Reading(calls.Return, calls.Below), nearest);
        }

        return accepts || _readings.Count > 0 ? Intern([.. _readings], accepts) : Dead;
    }

    /// <summary>Of equally near ones the newest goes first: that way ends soonest.</summary>
    private void Open(Reading reading, int nearest)
    {
        var distance = DistanceOf(reading);
        if (_seen.Count >= PassedMax && distance > nearest) return;
        if (_seen.Add(reading)) _open.Enqueue(reading, (distance, -_seen.Count));
    }

    private int DistanceOf(Reading reading) => Sum(_automaton.DistanceOf(reading.State), reading.Calls?.Distance ?? 0);

    private Frame Push(int behind, Frame? below)
    {
        if (_frames.TryGetValue((behind, below), out var frame)) return frame;
        frame = new Frame(behind, below, Sum(_automaton.DistanceOf(behind), below?.Distance ?? 0));
        _frames.Add((behind, below), frame);
        return frame;
    }

    private Configuration Intern(Reading[] readings, bool accepts)
    {
        var key = new ConfigurationKey(readings, accepts);
        if (_configurations.TryGetValue(key, out var known)) return known;
        var distance = accepts ? 0 : DistanceOf(readings[0]);
        var configuration = new Configuration(readings, accepts, distance, _automaton.ClassCount);
        _configurations.Add(key, configuration);
        return configuration;
    }

    private static int Sum(int a, int b) => Math.Min(a + b, ByteAutomaton.Never);

    private readonly struct ConfigurationKey(Reading[] readings, bool accepts) : IEquatable<ConfigurationKey>
    {
        private readonly Reading[] _readings = readings;
        private readonly bool _accepts = accepts;

        public bool Equals(ConfigurationKey other) =>
            _accepts == other._accepts && _readings.AsSpan().SequenceEqual(other._readings);

        public override bool Equals(object? obj) => obj is ConfigurationKey other && Equals(other);

        public override int GetHashCode()
        {
            var hash = new HashCode();
            hash.Add(_accepts);
            foreach (var reading in _readings) hash.Add(reading);
            return hash.ToHashCode();
        }
    }
}
