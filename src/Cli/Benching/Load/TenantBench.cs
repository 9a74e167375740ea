using System.Globalization;
using System.Text.Json.Nodes;
using Krewe.Control.Access;
using Krewe.Models;

namespace Krewe.Cli;

/// <summary>What <c>krewe bench tenants --json</c> prints. Rates in requests a second, times in ms.</summary>
/// <param name="Share">Half of what the cluster does: each of two tenants'.</param>
/// <param name="TtftP99Ratio">Flooded over the mean of the two runs alone.</param>
internal sealed record TenantBenchReport(
    string Model, int PromptTokens, int OutputTokens, double Capacity, double Share, double Rate, double FloodRate,
    LoadFigures AloneBefore, LoadFigures Flooded, LoadFigures AloneAfter, LoadFigures Flood, double TtftP99Ratio);

/// <summary>
/// A tenant within its share, alone and beside one that floods: by how much does its time to first token move? The
/// cluster and the load are processes of their own.
/// </summary>
internal sealed class TenantBench(ModelFolder model, TenantBenchSizes sizes, Terminal terminal, TimeProvider time)
{
    private const string QuietKey = "krewe-bench-key-of-the-quiet-one";
    private const string FloodKey = "krewe-bench-key-of-the-flood";
    private const int ProbeConcurrency = 6;

    private static readonly TimeSpan ProbeSpan = TimeSpan.FromSeconds(6);

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
        var rate = share * sizes.Use;
        var quiet = Plan(rate, QuietKey, seed: 11);
        var flood = Plan(share * sizes.Flood, FloodKey, seed: 12);
        var load = new OpenLoop(http, time);
        terminal.Say(string.Create(
            CultureInfo.InvariantCulture,
            $"{capacity:0.0} requests/s fit; one tenant sends {rate:0.0}, the other {share * sizes.Flood:0.0}"));
        var before = await load.RunAsync(quiet, null, cancellationToken);
        using var over = new CancellationTokenSource();
        var flooding = load.RunAsync(flood, null, cancellationToken, over.Token);
        var both = await load.RunAsync(quiet, null, cancellationToken);
        await over.CancelAsync();
        var flooders = await flooding;
        await http.GetAsync("ready", cancellationToken);
        var after = await load.RunAsync(quiet, null, cancellationToken);
        var flooded = LoadFigures.Of(both);
        var (first, last) = (LoadFigures.Of(before), LoadFigures.Of(after));
        return new TenantBenchReport(
            model.Name, sizes.PromptTokens, sizes.OutputTokens, capacity, share, rate, share * sizes.Flood, first,
            flooded, last, LoadFigures.Of(flooders),
            flooded.TtftP99 / ((first.TtftP99 + last.TtftP99) / 2));
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

    private List<LoadRequest> Plan(double rate, string key, int seed) => LoadPlan.Poisson(
        rate, sizes.Span, sizes.PromptTokens, sizes.OutputTokens, Vocabulary, seed, key);

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
}

/// <param name="Use">Of its share that the quiet tenant uses.</param>
/// <param name="Flood">Times its share that the other sends.</param>
internal sealed record TenantBenchSizes(
    int PromptTokens, int OutputTokens, double Use, double Flood, TimeSpan Span, IReadOnlyList<string> ServeArguments);
