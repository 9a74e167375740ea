using System.Globalization;

namespace Krewe.Simulation;

/// <summary>Collects a trace's requests and checks each as it comes.</summary>
internal sealed class TraceBuilder(TraceLines lines, TraceLimits limits)
{
    private readonly List<TraceRequest> _requests = [];
    private readonly List<int> _hashes = [];
    private readonly Dictionary<long, int> _ids = [];
    private double _previousMs;

    public int Count => _requests.Count;

    /// <summary>Adds one request; <paramref name="ids"/> are its prompt's block ids.</summary>
    public void Add(double arrivalMs, double promptTokens, double outputTokens, List<long> ids, int tenant = 0)
    {
        if (!(arrivalMs >= 0) || arrivalMs > limits.SpanMsMax)
            throw lines.Bad(Text($"the arrival is {arrivalMs} ms; it must be 0 to {limits.SpanMsMax:0}."));
        if (arrivalMs < _previousMs)
        {
            throw lines.Bad(Text(
                $"arrives at {arrivalMs} ms, before the line above it ({_previousMs} ms); sort the trace by arrival."));
        }

        _previousMs = arrivalMs;
        var prompt = Tokens(promptTokens, "prompt");
        var output = Tokens(outputTokens, "output");
        if (prompt == 0) throw lines.Bad("the prompt has 0 tokens; a request has at least 1.");
        if (_requests.Count == limits.RequestsMax)
            throw lines.Bad($"more than {limits.RequestsMax} requests; cut the trace.");
        var first = _hashes.Count;
        foreach (var id in ids)
        {
            if (!_ids.TryGetValue(id, out var known)) _ids.Add(id, known = _ids.Count);
            _hashes.Add(known);
        }

        // Without an output token there is nothing to time: such lines are failed requests of the recording.
        _requests.Add(new TraceRequest(
            (long)(arrivalMs * 1e6), prompt, Math.Max(1, output), first, ids.Count, tenant));
    }

    public Trace Build(int hashTokens)
    {
        if (_requests.Count == 0) throw lines.Bad("the trace holds no request.");
        return new Trace(Path.GetFileName(lines.Path), _requests, _hashes, hashTokens);
    }

    private int Tokens(double value, string what)
    {
        if (!(value >= 0) || value > limits.TokensMax || value != Math.Floor(value))
        {
            throw lines.Bad(Text(
                $"the {what} has {value} tokens; it must be a whole number from 0 to {limits.TokensMax}."));
        }

        return (int)value;
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
