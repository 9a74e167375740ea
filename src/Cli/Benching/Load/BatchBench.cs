using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Krewe.Models;

namespace Krewe.Cli;

/// <summary>What <c>krewe bench batch --json</c> prints. Rates in requests a second, times in ms.</summary>
/// <param name="Without">Online requests, all rounds without a batch.</param>
/// <param name="Beside">The same requests beside a batch.</param>
/// <param name="AgainP99">Of the same requests once more without: the control, what no difference looks like.</param>
/// <param name="BatchBesideOnline">Batch requests a second that were done beside the online load.</param>
/// <param name="Ordered">Batch requests a second on shared prefixes, as batches run.</param>
/// <param name="Arrival">The same in the order of the file.</param>
internal sealed record BatchBenchReport(
    string Model, double OnlineRate, LoadFigures Without, LoadFigures Beside, PairedTail TtftP50, PairedTail TtftP99,
    PairedTail AgainP50, PairedTail AgainP99, double BatchBesideOnline, double Ordered, double Arrival,
    double OrderGain);

/// <param name="OnlineRate">Online requests a second.</param>
/// <param name="Span">Of a run; a round has one without a batch, one beside one, and one without.</param>
/// <param name="Groups">Shared prefixes of the second part; 0 = without that part.</param>
/// <param name="Members">Requests of each.</param>
internal sealed record BatchBenchSizes(
    double OnlineRate, int PromptTokens, int OutputTokens, TimeSpan Span, int Rounds, int Groups, int Members,
    int PrefixTokens, int SuffixTokens, IReadOnlyList<string> BesideArguments, IReadOnlyList<string> PrefixArguments);

/// <summary>
/// The batch lane: what it does to online requests, and what its order is worth where prompts begin alike and the cache
/// is too small for all beginnings.
/// </summary>
internal sealed class BatchBench(ModelFolder model, BatchBenchSizes sizes, Terminal terminal, TimeProvider time)
{
    private const int FillingLines = 12_000;

    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(100);

    private int Vocabulary => model.Config.VocabularySize;

    public async Task<BatchBenchReport> RunAsync(CancellationToken cancellationToken)
    {
        var (runs, done) = await BesideOnlineAsync(cancellationToken);
        var ordered = sizes.Groups == 0 ? double.NaN : await OnPrefixesAsync([], cancellationToken);
        var arrival = sizes.Groups == 0
            ? double.NaN
            : await OnPrefixesAsync(["--batch-arrival-order"], cancellationToken);
        var beside = runs.Select(run => (run.Without, run.Beside)).ToList();
        var again = runs.Select(run => (run.Without, run.Again)).ToList();
        return new BatchBenchReport(
            model.Name, sizes.OnlineRate, LoadFigures.Of(runs.Select(run => run.Without)),
            LoadFigures.Of(runs.Select(run => run.Beside)), PairedTail.Of(beside, 50), PairedTail.Of(beside, 99),
            PairedTail.Of(again, 50), PairedTail.Of(again, 99), done, ordered, arrival, ordered / arrival);
    }

    private async Task<(List<OnlineRun> Runs, double Done)> BesideOnlineAsync(CancellationToken cancellationToken)
    {
        await using var cluster = await StartAsync(sizes.BesideArguments, cancellationToken);
        var http = cluster.Http;
        var load = new OpenLoop(http, time);
        var (runs, done, seconds) = (new List<OnlineRun>(), 0, 0.0);
        await load.RunAsync([.. Online(0).Where(request => request.At < sizes.Span / 2)], null, cancellationToken);
        for (var round = 0; round < sizes.Rounds; round++)
        {
            var online = Online(round);
            var without = await load.RunAsync(online, null, cancellationToken);
            var batch = await BeginBatchAsync(http, round, cancellationToken);
            var (start, first) = (time.GetTimestamp(), await CompletedAsync(http, batch, cancellationToken));
            var beside = await load.RunAsync(online, null, cancellationToken);
            done += await CompletedAsync(http, batch, cancellationToken) - first;
            seconds += time.GetElapsedTime(start).TotalSeconds;
            if (await StatusAsync(http, batch, cancellationToken) != "in_progress")
                throw new InvalidOperationException("The batch ended before the online load did; shorten the runs.");
            using var cancel = await http.PostAsJsonAsync(
                $"v1/batches/{batch}/cancel", new JsonObject(), cancellationToken);
            await UntilAsync(http, batch, status => status == "cancelled", cancellationToken);
            var again = await load.RunAsync(online, null, cancellationToken);
            runs.AddRange(without.Zip(beside, again).Select(run => new OnlineRun(run.First, run.Second, run.Third)));
            terminal.Say($"round {round + 1} of {sizes.Rounds}");
        }

        return (runs, done / seconds);
    }

    private List<LoadRequest> Online(int round) => LoadPlan.Poisson(
        sizes.OnlineRate, sizes.Span, sizes.PromptTokens, sizes.OutputTokens, Vocabulary, seed: 21 + round);

    /// <summary>One that is under way, and longer than a run.</summary>
    private async Task<string> BeginBatchAsync(HttpClient http, int round, CancellationToken cancellationToken)
    {
        var random = new Random(220 + round);
        var batch = await CreateAsync(
            http,
            Enumerable.Range(0, FillingLines).Select(_ => LoadPlan.Prompt(random, 64, Vocabulary)), cancellationToken);
        while (await CompletedAsync(http, batch, cancellationToken) == 0)
            await Task.Delay(LookEvery, time, cancellationToken);
        return batch;
    }

    /// <summary>Requests a second of one batch, from its first request to its last.</summary>
    private async Task<double> OnPrefixesAsync(IEnumerable<string> arguments, CancellationToken cancellationToken)
    {
        await using var cluster = await StartAsync([.. sizes.PrefixArguments, .. arguments], cancellationToken);
        var random = new Random(23);
        var prefixes = Enumerable.Range(0, sizes.Groups)
            .Select(_ => LoadPlan.Prompt(random, sizes.PrefixTokens, Vocabulary)).ToArray();
        // As they come from many users: never two of one group in a row.
        var prompts = Enumerable.Range(0, sizes.Groups * sizes.Members).Select(i => (int[])
            [.. prefixes[i % sizes.Groups], .. LoadPlan.Prompt(random, sizes.SuffixTokens, Vocabulary)]);
        var start = time.GetTimestamp();
        var batch = await CreateAsync(cluster.Http, prompts, cancellationToken);
        await UntilAsync(cluster.Http, batch, status => status is "completed" or "failed", cancellationToken);
        return sizes.Groups * sizes.Members / time.GetElapsedTime(start).TotalSeconds;
    }

    private Task<BenchCluster> StartAsync(IEnumerable<string> arguments, CancellationToken cancellationToken) =>
        BenchCluster.StartAsync(
            ["--model", model.Directory, .. arguments], terminal, cancellationToken);

    private async Task<string> CreateAsync(
        HttpClient http, IEnumerable<int[]> prompts, CancellationToken cancellationToken)
    {
        var lines = new StringBuilder();
        foreach (var (i, prompt) in prompts.Index())
        {
            lines.Append(new JsonObject
            {
                ["custom_id"] = $"r{i}",
                ["method"] = "POST",
                ["url"] = "/v1/completions",
                ["body"] = new JsonObject
                {
                    ["prompt"] = new JsonArray([.. prompt.Select(token => (JsonNode)token)]),
                    ["max_tokens"] = sizes.OutputTokens,
                    ["temperature"] = 0,
                    ["ignore_eos"] = true,
                },
            }.ToJsonString()).Append('\n');
        }

        using var form = new MultipartFormDataContent
        {
            { new StringContent("batch"), "purpose" },
            { new ByteArrayContent(Encoding.UTF8.GetBytes(lines.ToString())), "file", "bench.jsonl" },
        };
        using var uploaded = await http.PostAsync("v1/files", form, cancellationToken);
        var file = await JsonOfAsync(uploaded, cancellationToken);
        using var created = await http.PostAsJsonAsync(
            "v1/batches",
            new JsonObject
            {
                ["input_file_id"] = file.GetProperty("id").GetString(),
                ["endpoint"] = "/v1/completions",
                ["completion_window"] = "24h",
            },
            cancellationToken);
        return (await JsonOfAsync(created, cancellationToken)).GetProperty("id").GetString()!;
    }

    private static async Task<int> CompletedAsync(HttpClient http, string batch, CancellationToken cancellationToken)
    {
        using var answer = await http.GetAsync($"v1/batches/{batch}", cancellationToken);
        var counts = (await JsonOfAsync(answer, cancellationToken)).GetProperty("request_counts");
        return counts.GetProperty("completed").GetInt32();
    }

    private async Task UntilAsync(
        HttpClient http, string batch, Func<string, bool> wanted, CancellationToken cancellationToken)
    {
        while (!wanted(await StatusAsync(http, batch, cancellationToken)))
            await Task.Delay(LookEvery, time, cancellationToken);
    }

    private static async Task<string> StatusAsync(HttpClient http, string batch, CancellationToken cancellationToken)
    {
        using var answer = await http.GetAsync($"v1/batches/{batch}", cancellationToken);
        return (await JsonOfAsync(answer, cancellationToken)).GetProperty("status").GetString()!;
    }

    private static async Task<JsonElement> JsonOfAsync(HttpResponseMessage answer, CancellationToken cancellationToken)
    {
        var text = await answer.Content.ReadAsStringAsync(cancellationToken);
        if (!answer.IsSuccessStatusCode) throw new InvalidOperationException($"The cluster refused: {text}");
        using var document = JsonDocument.Parse(text);
        return document.RootElement.Clone();
    }

    /// <summary>One online request, three times.</summary>
    private sealed record OnlineRun(LoadOutcome Without, LoadOutcome Beside, LoadOutcome Again);
}
