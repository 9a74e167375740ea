using System.Globalization;
using System.Net.Http.Json;
using Krewe.Models;

namespace Krewe.Cli;

/// <summary>The silo's memory at one time.</summary>
/// <param name="Minutes">Since the start.</param>
/// <param name="Requests">Sent until then.</param>
/// <param name="HeapMiB">Managed heap after its last collection.</param>
/// <param name="Kept">What the silo keeps in memory, by its name in krewe_kept_items.</param>
internal sealed record SoakSample(
    double Minutes, long Requests, double ResidentMiB, double HeapMiB, IReadOnlyDictionary<string, long> Kept);

/// <summary>What <c>krewe bench soak --json</c> prints.</summary>
/// <param name="Failed">Requests that did not end as their kind must.</param>
internal sealed record SoakReport(
    double Rate, long Requests, long Failed, SoakVerdict? Verdict, IReadOnlyList<SoakSample> Samples);

/// <summary>
/// The gateway's memory under a small steady load of all kinds: streams, whole answers, clients that leave, requests
/// that can be resumed, bodies that are refused.
/// </summary>
internal sealed class SoakBench(
    ModelFolder model, double rate, TimeSpan span, bool leaks, Terminal terminal, TimeProvider time)
{
    private const int LongestPrompt = 400;
    private const int OutputTokens = 8;

    /// <summary>The leak of the control: what is known of an ended request is dropped after a day.</summary>
    private static readonly string[] Leak = ["--record-keep", "86400"];

    private static readonly TimeSpan SampleEvery = TimeSpan.FromMinutes(1);

    private long _sent;
    private long _failed;

    private enum Kind
    {
        Stream,
        Whole,
        Resumable,
        Leaving,
        Refused,
    }

    public async Task<SoakReport> RunAsync(CancellationToken cancellationToken)
    {
        await using var cluster = await MockCluster.StartAsync(
            model, leaks ? Leak : [], terminal, time, cancellationToken);
        List<SoakSample> samples = [];
        HashSet<Task> open = [];
        var (start, sampled) = (time.GetTimestamp(), TimeSpan.Zero);
        for (TimeSpan now; (now = time.GetElapsedTime(start)) < span;)
        {
            if (now >= sampled)
            {
                sampled += SampleEvery;
                samples.Add(await SampleAsync(cluster, now, cancellationToken));
            }

            open.RemoveWhere(task => task.IsCompletedSuccessfully);
            open.Add(SendAsync(cluster.Http, (Kind)(_sent++ % Enum.GetValues<Kind>().Length), cancellationToken));
            var next = TimeSpan.FromSeconds(_sent / rate) - time.GetElapsedTime(start);
            if (next > TimeSpan.Zero) await Task.Delay(next, time, cancellationToken);
        }

        await Task.WhenAll(open);
        samples.Add(await SampleAsync(cluster, time.GetElapsedTime(start), cancellationToken));
        return new SoakReport(rate, _sent, _failed, SoakVerdict.Of(samples), samples);
    }

    private async Task SendAsync(HttpClient http, Kind kind, CancellationToken cancellationToken)
    {
        var drawn = new Random((int)_sent);
        var prompt = LoadPlan.Prompt(drawn, drawn.Next(1, LongestPrompt), model.Config.VocabularySize);
        if (prompt.Length > 1) prompt[1] = 10; // ms between two tokens
        var asked = new CompletionAsked(prompt, kind == Kind.Refused ? -1 : OutputTokens)
        {
            Stream = kind != Kind.Whole,
        };
        using var message = new HttpRequestMessage(HttpMethod.Post, "v1/completions")
        {
            Content = JsonContent.Create(asked, ServingJson.Default.CompletionAsked),
        };
        if (kind == Kind.Resumable)
            message.Headers.Add("Idempotency-Key", _sent.ToString(CultureInfo.InvariantCulture));
        try
        {
            using var response = await http.SendAsync(
                message, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            if (response.IsSuccessStatusCode == (kind == Kind.Refused)) Interlocked.Increment(ref _failed);
            if (kind == Kind.Leaving) return;
            await response.Content.LoadIntoBufferAsync(cancellationToken);
        }
        catch (HttpRequestException e)
        {
            Interlocked.Increment(ref _failed);
            terminal.Say(e.Message);
        }
    }

    private async Task<SoakSample> SampleAsync(
        MockCluster cluster, TimeSpan now, CancellationToken cancellationToken)
    {
        var metrics = await cluster.Http.GetStringAsync("metrics", cancellationToken);
        var sample = new SoakSample(
            now.TotalMinutes, _sent, MiBOf(metrics, "process_resident_memory_bytes"),
            MiBOf(metrics, "krewe_gc_heap_bytes"),
            LinesOf(metrics, "krewe_kept_items").ToDictionary(
                line => line.Split("what=\"")[1].Split('"')[0], line => (long)ValueOf(line)));
        var kept = string.Join(", ", sample.Kept.Select(pair => $"{pair.Key} {pair.Value}"));
        terminal.Say(string.Create(
            CultureInfo.InvariantCulture,
            $"{sample.Minutes,5:0.0} min, {sample.Requests,7} requests: {sample.ResidentMiB:0.0} MiB resident, "
            + $"{sample.HeapMiB:0.0} MiB heap; {kept}"));
        return sample;
    }

    private static double MiBOf(string metrics, string name) => ValueOf(LinesOf(metrics, name).First()) / (1 << 20);

    private static IEnumerable<string> LinesOf(string metrics, string name) => metrics.Split('\n').Where(line =>
        line.StartsWith(name, StringComparison.Ordinal) && line[name.Length] is ' ' or '{');

    private static double ValueOf(string line) =>
        double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture);
}
