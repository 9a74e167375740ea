using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Nodes;
using Krewe.Control.Access;
using Krewe.Models;

namespace Krewe.Cli;

/// <summary>What <c>krewe bench tenants --json</c> prints. Rates in requests a second, times in ms.</summary>
/// <param name="Share">Half of what the cluster does: each of two tenants'.</param>
/// <param name="Alone">The quiet tenant, all rounds without the flood.</param>
/// <param name="Flooded">The same requests beside the flood.</param>
/// <param name="Flood">The flood's own, last round.</param>
/// <param name="LateAlone">How late the 99th of a hundred was sent: the load's own fault.</param>
internal sealed record TenantBenchReport(
    string Model, int PromptTokens, int OutputTokens, double Capacity, double Share, double Rate, double FloodRate,
    LoadFigures Alone, LoadFigures Flooded, LoadFigures Flood, double LateAlone, double LateFlooded,
    PairedTail TtftP50, PairedTail TtftP90, PairedTail TtftP99);

/// <summary>
/// A tenant within its share, alone and beside one that floods, in turns: by how much does its time to first token
/// move? The cluster and both tenants' loads are processes of their own.
/// </summary>
internal sealed class TenantBench(ModelFolder model, TenantBenchSizes sizes, Terminal terminal, TimeProvider time)
{
    internal const string FloodKey = "krewe-bench-key-of-the-flood";
    private const string QuietKey = "krewe-bench-key-of-the-quiet-one";
    private const int ProbeConcurrency = 6;

    private static readonly TimeSpan ProbeSpan = TimeSpan.FromSeconds(6);

    /// <summary>Until a flood has filled its places, and until what it left behind has gone.</summary>
    private static readonly TimeSpan SettleSpan = TimeSpan.FromSeconds(3);

    private int Vocabulary => model.Config.VocabularySize;

    public async Task<TenantBenchReport> RunAsync(CancellationToken cancellationToken)
    {
        var folder = Directory.CreateTempSubdirectory("krewe-bench-");
        try
        {
            var keys = Path.Combine(folder.FullName, "keys.json");
            await File.WriteAllTextAsync(keys, KeyFile(), cancellationToken);
            await using var cluster = await BenchCluster.StartAsync(
                ["--model", model.Directory, "--api-keys", keys, .. sizes.ServeArguments], terminal, cancellationToken);
            return await MeasureAsync(cluster.Http, cancellationToken);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private async Task<TenantBenchReport> MeasureAsync(HttpClient http, CancellationToken cancellationToken)
    {
        // The first probe warms up, the second counts.
        await ProbeAsync(http, 1, cancellationToken);
        var capacity = await ProbeAsync(http, 2, cancellationToken);
        var share = capacity / 2;
        var (rate, floodRate) = (share * sizes.Use, share * sizes.Flood);
        var load = new OpenLoop(http, time);
        terminal.Say(string.Create(
            CultureInfo.InvariantCulture,
            $"{capacity:0.0} requests/s fit; one tenant sends {rate:0.0}, the other {floodRate:0.0}"));
        List<(LoadOutcome Alone, LoadOutcome Flooded)> pairs = [];
        LoadFigures? flood = null;
        for (var round = 0; round < sizes.Rounds; round++)
        {
            var plan = Plan(rate, round);
            var alone = await load.RunAsync(plan, null, cancellationToken);
            await using (var flooding = Flooding.Start(http.BaseAddress!, floodRate, sizes, Vocabulary, terminal))
            {
                await Task.Delay(SettleSpan, time, cancellationToken);
                var flooded = await load.RunAsync(Named(plan, round), null, cancellationToken);
                pairs.AddRange(alone.Zip(flooded));
                flood = await flooding.EndAsync();
            }

            var ofRound = pairs[^plan.Count..];
            terminal.Say(string.Create(
                CultureInfo.InvariantCulture,
                $"round {round + 1} of {sizes.Rounds}, P99: {PairedTail.Of(ofRound, 99).Text}"));
            await ExplainAsync(http, ofRound.Select(pair => pair.Flooded), cancellationToken);
            await Task.Delay(SettleSpan, time, cancellationToken);
        }

        return new TenantBenchReport(
            model.Name, sizes.PromptTokens, sizes.OutputTokens, capacity, share, rate, floodRate,
            LoadFigures.Of(pairs.Select(pair => pair.Alone)), LoadFigures.Of(pairs.Select(pair => pair.Flooded)),
            flood!, Late(pairs.Select(pair => pair.Alone)), Late(pairs.Select(pair => pair.Flooded)),
            PairedTail.Of(pairs, 50), PairedTail.Of(pairs, 90), PairedTail.Of(pairs, 99));
    }

    /// <summary>Requests a second with so many at once.</summary>
    private async Task<double> ProbeAsync(HttpClient http, int seed, CancellationToken cancellationToken)
    {
        var random = new Random(seed);
        var (start, count) = (time.GetTimestamp(), 0);
        await Task.WhenAll(Enumerable.Range(0, ProbeConcurrency).Select(async _ =>
        {
            while (time.GetElapsedTime(start) < ProbeSpan)
            {
                int[] prompt;
                lock (random) prompt = LoadPlan.Prompt(random, sizes.PromptTokens, Vocabulary);
                await new OpenLoop(http, time).RunAsync(
                    [new LoadRequest(default, prompt, sizes.OutputTokens, QuietKey)], null, cancellationToken);
                Interlocked.Increment(ref count);
            }
        }));
        return count / time.GetElapsedTime(start).TotalSeconds;
    }

    private List<LoadRequest> Plan(double rate, int round) => LoadPlan.Poisson(
        rate, sizes.Span, sizes.PromptTokens, sizes.OutputTokens, Vocabulary, 11 + round, QuietKey);

    private static List<LoadRequest> Named(IEnumerable<LoadRequest> plan, int round) =>
        [.. plan.Select((request, i) => request with { Id = NameOf(round, i) })];

    private static string NameOf(int round, int request) =>
        string.Create(CultureInfo.InvariantCulture, $"bench-{round}-{request}");

    /// <summary>What the server knows of the slowest.</summary>
    private async Task ExplainAsync(
        HttpClient http, IEnumerable<LoadOutcome> outcomes, CancellationToken cancellationToken)
    {
        var all = outcomes.ToList();
        foreach (var slow in all.OrderByDescending(outcome => outcome.TtftMs).Take(sizes.Explain))
        {
            var before = all.Where(other => other.Request.At <= slow.Request.At && other != slow)
                .OrderByDescending(other => other.Request.At).Take(4)
                .Select(other => string.Create(
                    CultureInfo.InvariantCulture, $"{(other.Request.At - slow.Request.At).TotalMilliseconds:0}"));
            using var message = new HttpRequestMessage(HttpMethod.Get, $"v1/requests/{slow.Request.Id}");
            message.Headers.Authorization = new AuthenticationHeaderValue("Bearer", QuietKey);
            using var answer = await http.SendAsync(message, cancellationToken);
            var life = JsonNode.Parse(await answer.Content.ReadAsStringAsync(cancellationToken));
            var steps = life?["steps"]?.AsArray().Select(step => $"{step!["what"]} {step["at_ms"]}") ?? [];
            var late = (slow.SentAt - slow.Request.At).TotalMilliseconds;
            terminal.Say(string.Create(
                CultureInfo.InvariantCulture,
                $"  {slow.Request.Id}: {slow.TtftMs:0.0} ms, sent {late:0.0} late; those before it "
                + $"{string.Join(", ", before)}; {string.Join("; ", steps)}"));
        }
    }

    private static double Late(IEnumerable<LoadOutcome> outcomes) => LoadFigures.Percentile(
        LoadFigures.Sorted(outcomes.Select(outcome =>
            (double?)(outcome.SentAt - outcome.Request.At).TotalMilliseconds)),
        99);

    private static string KeyFile()
    {
        return new JsonObject { ["keys"] = new JsonArray(Entry("quiet", QuietKey), Entry("flood", FloodKey)) }
            .ToJsonString();

        static JsonObject Entry(string tenant, string key) => new()
        {
            ["name"] = tenant,
            ["tenant"] = tenant,
            ["sha256"] = Convert.ToHexStringLower(ApiKey.HashOf(key)),
        };
    }

    /// <summary>The flood's process. It gives way to the others: its clients have machines of their own.</summary>
    private sealed class Flooding : IAsyncDisposable
    {
        private readonly Process _process;
        private readonly TaskCompletionSource<LoadFigures> _figures =
            new(TaskCreationOptions.RunContinuationsAsynchronously);

        private Flooding(Process process, Terminal terminal)
        {
            _process = process;
            process.OutputDataReceived += (_, line) =>
            {
                // Null is the end: whoever waits for figures must not wait for ever.
                if (line.Data is null)
                    _figures.TrySetException(new InvalidOperationException("The flood ended and told no figures."));
                else if (line.Data.Length > 0)
                    Take(line.Data);
            };
            process.ErrorDataReceived += (_, line) =>
            {
                if (line.Data is { Length: > 0 } text) terminal.Say(text);
            };
            process.BeginOutputReadLine();
            process.BeginErrorReadLine();
            process.PriorityClass = ProcessPriorityClass.BelowNormal;
        }

        public static Flooding Start(
            Uri address, double rate, TenantBenchSizes sizes, int vocabularySize, Terminal terminal) => new(
            Process.Start(OwnProgram.With(string.Create(
                CultureInfo.InvariantCulture,
                $"bench tenants-flood --url {address} --rate {rate} --prompt-tokens {sizes.PromptTokens} "
                + $"--output-tokens {sizes.OutputTokens} --vocabulary {vocabularySize}").Split(' ')))!,
            terminal);

        private void Take(string json)
        {
            try
            {
                _figures.TrySetResult(JsonSerializer.Deserialize(json, LoadJson.Default.LoadFigures)!);
            }
            catch (JsonException e)
            {
                // Nobody would catch it on this thread: the process would end, and its children live on.
                _figures.TrySetException(new InvalidOperationException($"The flood said '{json}'.", e));
            }
        }

        /// <summary>Ends it, and tells how it fared.</summary>
        public Task<LoadFigures> EndAsync()
        {
            _process.StandardInput.Close();
            return _figures.Task;
        }

        public async ValueTask DisposeAsync()
        {
            await MockCluster.EndAsync(_process);
        }
    }
}

/// <param name="Use">Of its share that the quiet tenant uses.</param>
/// <param name="Flood">Times its share that the other sends.</param>
/// <param name="Span">Of each run: a round has one alone and one beside the flood.</param>
/// <param name="Explain">Of each flooded run the slowest so many requests' lives are told.</param>
internal sealed record TenantBenchSizes(
    int PromptTokens, int OutputTokens, double Use, double Flood, TimeSpan Span, int Rounds, int Explain,
    IReadOnlyList<string> ServeArguments);
