namespace Krewe.Simulation;

/// <summary>One request of a trace.</summary>
/// <param name="ArrivalNs">Since the trace's start.</param>
/// <param name="FirstHash">Where its prompt blocks' ids begin in <see cref="Trace.Hashes"/>.</param>
/// <param name="HashCount">How many ids; 0 = nothing is known of shared prefixes.</param>
/// <param name="Tenant">Whose request it is, for fairness and prefix salts.</param>
public readonly record struct TraceRequest(
    long ArrivalNs, int PromptTokens, int OutputTokens, int FirstHash = 0, int HashCount = 0, int Tenant = 0);

/// <summary>
/// Requests in order of arrival, 40 bytes each: a million take 40 MB. Block ids of prompts lie in one array.
/// </summary>
public sealed class Trace(string name, List<TraceRequest> requests, List<int> hashes, int hashTokens)
{
    /// <summary>File or generator.</summary>
    public string Name { get; } = name;

    public List<TraceRequest> Requests { get; } = requests;

    /// <summary>Ids of prompt blocks, chained: equal ids mean equal prefixes up to the block's end.</summary>
    public List<int> Hashes { get; } = hashes;

    /// <summary>Tokens that one id covers.</summary>
    public int HashTokens { get; } = hashTokens;

    public int Count => Requests.Count;

    /// <summary>From the first arrival to the last, s.</summary>
    public double SpanSeconds => Count == 0 ? 0 : (Requests[^1].ArrivalNs - Requests[0].ArrivalNs) / 1e9;

    /// <summary>Mean arrivals a second; 0 when all arrive at once.</summary>
    public double RatePerSecond => SpanSeconds > 0 ? (Count - 1) / SpanSeconds : 0;

    public double MeanPromptTokens => Requests.Count == 0 ? 0 : Requests.Average(r => (double)r.PromptTokens);

    public double MeanOutputTokens => Requests.Count == 0 ? 0 : Requests.Average(r => (double)r.OutputTokens);

    /// <summary>The same requests, arriving <paramref name="factor"/> times as fast.</summary>
    public Trace Faster(double factor) => new(
        Name, [.. Requests.Select(r => r with { ArrivalNs = (long)(r.ArrivalNs / factor) })], Hashes, HashTokens);

    /// <summary>The first <paramref name="count"/> requests.</summary>
    public Trace Take(int count) =>
        count >= Count ? this : new Trace(Name, Requests.GetRange(0, count), Hashes, HashTokens);
}
