using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Krewe.Models;

namespace Krewe.Cli;

/// <summary>What <c>krewe bench batch --json</c> prints. Rates in requests a second, times in ms.</summary>
/// <param name="TtftP99Ratio">Online, beside a batch, over the mean of the two runs without.</param>
/// <param name="BatchBesideOnline">Batch requests a second that were done beside the online load.</param>
/// <param name="Ordered">Batch requests a second on shared prefixes, as batches run.</param>
/// <param name="Arrival">The same in the order of the file.</param>
internal sealed record BatchBenchReport(
    string Model, double OnlineRate, LoadFigures Before, LoadFigures Beside, LoadFigures After, double TtftP99Ratio,
    double BatchBesideOnline, double Ordered, double Arrival, double OrderGain);

/// <param name="OnlineRate">Online requests a second.</param>
/// <param name="Groups">Shared prefixes of the second part.</param>
/// <param name="Members">Requests of each.</param>
internal sealed record BatchBenchSizes(
    double OnlineRate, int PromptTokens, int OutputTokens, TimeSpan Span, int Groups, int Members, int PrefixTokens,
    int SuffixTokens, IReadOnlyList<string> ServeArguments);

/// <summary>
/// The batch lane: what it does to online requests, and what its order is worth where prompts begin alike and the cache
/// is too small for all beginnings.
/// </summary>
internal sealed class BatchBench(ModelFolder model, BatchBenchSizes sizes, Terminal terminal, TimeProvider time)
{
    private const int FillingLines = 20_000;

    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(100);

    private int Vocabulary => model.Config.VocabularySize;

    public async Task<BatchBenchReport> RunAsync(CancellationToken cancellationToken)
    {
        var (before, beside, after, done) = await BesideOnlineAsync(cancellationToken);
        var ordered = await OnPrefixesAsync([], cancellationToken);
        var arrival = await OnPrefixesAsync(["--batch-arrival-order"], cancellationToken);
        return new BatchBenchReport(
            model.Name, sizes.OnlineRate, before, beside, after,
            beside.TtftP99 / ((before.TtftP99 + after.TtftP99) / 2), done, ordered, arrival, ordered / arrival);
    }

    private async Task<(LoadFigures Before, LoadFigures Beside, LoadFigures After, double Done)> BesideOnlineAsync(
        CancellationToken cancellationToken)
    {
        await using var cluster = await StartAsync([], cancellationToken);
        var http = cluster.Http;
        var load = new OpenLoop(http, time);
        var online = LoadPlan.Poisson(
            sizes.OnlineRate, sizes.Span, sizes.PromptTokens, sizes.OutputTokens, Vocabulary, seed: 21);
        await load.RunAsync([.. online.Where(request => request.At < sizes.Span / 4)], null, cancellationToken);
        var before = await load.RunAsync(online, null, cancellationToken);

        var random = new Random(22);
        var batch = await CreateAsync(
            http,
            Enumerable.Range(0, FillingLines).Select(_ => LoadPlan.Prompt(random, 64, Vocabulary)), cancellationToken);
        await UntilAsync(http, batch, status => status == "in_progress", cancellationToken);
        var (start, first) = (time.GetTimestamp(), await CompletedAsync(http, batch, cancellationToken));
        var beside = await load.RunAsync(online, null, cancellationToken);
        var done = (await CompletedAsync(http, batch, cancellationToken) - first)
            / time.GetElapsedTime(start).TotalSeconds;
        using var cancel = await http.PostAsJsonAsync(
            $"v1/batches/{batch}/cancel", new JsonObject(), cancellationToken);
        await UntilAsync(http, batch, status => status == "cancelled", cancellationToken);

        var after = await load.RunAsync(online, null, cancellationToken);
        return (LoadFigures.Of(before), LoadFigures.Of(beside), LoadFigures.Of(after), done);
    }

    /// <summary>Requests a second of one batch, from its first request to its last.</summary>
    private async Task<double> OnPrefixesAsync(IEnumerable<string> arguments, CancellationToken cancellationToken)
    {
        await using var cluster = await StartAsync(arguments, cancellationToken);
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
            ["--model", model.Directory, .. sizes.ServeArguments, .. arguments], terminal, cancellationToken);

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
        while (true)
        {
            using var answer = await http.GetAsync($"v1/batches/{batch}", cancellationToken);
            var status = (await JsonOfAsync(answer, cancellationToken)).GetProperty("status").GetString()!;
            if (wanted(status)) return;
            await Task.Delay(LookEvery, time, cancellationToken);
        }
    }

    private static async Task<JsonElement> JsonOfAsync(HttpResponseMessage answer, CancellationToken cancellationToken)
    {
        var text = await answer.Content.ReadAsStringAsync(cancellationToken);
        if (!answer.IsSuccessStatusCode) throw new InvalidOperationException($"The cluster refused: {text}");
        using var document = JsonDocument.Parse(text);
        return document.RootElement.Clone();
    }
}
