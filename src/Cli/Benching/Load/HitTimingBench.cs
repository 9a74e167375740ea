using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using Krewe.Control.Access;
using Krewe.Models;

namespace Krewe.Cli;

/// <summary>Times to answer, ms, of prompts of one kind.</summary>
/// <param name="FasterThanNew">Chance that one of these is answered faster than a new prompt: 0.5 = they cannot be told
/// apart (Mann and Whitney, 1947).</param>
/// <param name="Cached">Prompt tokens that answers called cached, all together.</param>
internal sealed record HitTiming(double Median, double FasterThanNew, long Cached);

/// <summary>What <c>krewe bench hits --json</c> prints.</summary>
/// <param name="NewMedian">Of prompts that nobody has sent, ms.</param>
/// <param name="Others">Another tenant has just sent them.</param>
/// <param name="Own">The same tenant has: the control, what a hit looks like.</param>
/// <param name="Shared">Another has, of two tenants that chose to share: the control of the measurement.</param>
/// <param name="Noise">What <see cref="HitTiming.FasterThanNew"/> of equal times differs from 0.5 by, at most, 99 times
/// of a hundred.</param>
internal sealed record HitTimingReport(
    string Model, int PromptTokens, int Rounds, double NewMedian, HitTiming Others, HitTiming Own, HitTiming Shared,
    double Noise)
{
    public bool FindsNoTrace => Math.Abs(Others.FasterThanNew - 0.5) <= Noise && Others.Cached == 0;

    public bool ControlsHold => Own is { FasterThanNew: > 0.9, Cached: > 0 } && Shared.FasterThanNew > 0.9;
}

/// <summary>Can a tenant tell by the time of an answer that another has sent its prompt?</summary>
internal sealed class HitTimingBench(
    ModelFolder model, int promptTokens, int rounds, Terminal terminal, TimeProvider time)
{
    private const double Z99 = 2.576;

    private static readonly string[] Tenants = ["victim", "spy", "giver", "taker"];

    private readonly Random _random = new(41);

    public async Task<HitTimingReport> RunAsync(CancellationToken cancellationToken)
    {
        var folder = Directory.CreateTempSubdirectory("krewe-bench-");
        try
        {
            var keys = Path.Combine(folder.FullName, "keys.json");
            await File.WriteAllTextAsync(keys, KeyFile(), cancellationToken);
            await using var cluster = await BenchCluster.StartAsync(
                ["--model", model.Directory, "--api-keys", keys, "--mixed", "1", "--threads", "1"], terminal,
                cancellationToken);
            return await MeasureAsync(cluster.Http, cancellationToken);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private async Task<HitTimingReport> MeasureAsync(HttpClient http, CancellationToken cancellationToken)
    {
        var (unseen, others, own, shared) = (new Times(), new Times(), new Times(), new Times());
        for (var round = -3; round < rounds; round++)
        {
            // All in one round, in changing order, so that whatever slows the machine down slows each kind down.
            var steps = new (Times Times, Func<Task<(double, long)>> Ask)[]
            {
                (unseen, () => AskAsync("spy", Prompt())),
                (others, () => AfterAsync("victim", "spy")),
                (own, () => AfterAsync("spy", "spy")),
                (shared, () => AfterAsync("giver", "taker")),
            };
            _random.Shuffle(steps);
            foreach (var (times, ask) in steps)
            {
                var (ms, cached) = await ask();
                // The first rounds warm up.
                if (round >= 0) times.Add(ms, cached);
            }
        }

        return new HitTimingReport(
            model.Name, promptTokens, rounds, unseen.Median, others.Beside(unseen), own.Beside(unseen),
            shared.Beside(unseen), Z99 * Math.Sqrt(((2.0 * rounds) + 1) / (12.0 * rounds * rounds)));

        async Task<(double, long)> AfterAsync(string first, string second)
        {
            var prompt = Prompt();
            await AskAsync(first, prompt);
            return await AskAsync(second, prompt);
        }

        async Task<(double, long)> AskAsync(string tenant, int[] prompt)
        {
            using var message = new HttpRequestMessage(HttpMethod.Post, "v1/completions")
            {
                Content = JsonContent.Create(
                    new CompletionAsked(prompt, MaxTokens: 1) { Stream = false }, ServingJson.Default.CompletionAsked),
            };
            message.Headers.Authorization = new AuthenticationHeaderValue("Bearer", KeyOf(tenant));
            var begun = time.GetTimestamp();
            using var answer = await http.SendAsync(message, cancellationToken);
            var body = await answer.Content.ReadAsByteArrayAsync(cancellationToken);
            var ms = time.GetElapsedTime(begun).TotalMilliseconds;
            answer.EnsureSuccessStatusCode();
            using var document = JsonDocument.Parse(body);
            var usage = document.RootElement.GetProperty("usage");
            var cached = usage.TryGetProperty("prompt_tokens_details", out var details)
                && details.ValueKind == JsonValueKind.Object
                    ? details.GetProperty("cached_tokens").GetInt64()
                    : 0;
            return (ms, cached);
        }
    }

    private int[] Prompt() => LoadPlan.Prompt(_random, promptTokens, model.Config.VocabularySize);

    private static string KeyOf(string tenant) => $"krewe-bench-key-of-{tenant}";

    private static string KeyFile() => new JsonObject
    {
        ["keys"] = new JsonArray([.. Tenants.Select(tenant => new JsonObject
        {
            ["name"] = tenant,
            ["tenant"] = tenant,
            ["sha256"] = Convert.ToHexStringLower(ApiKey.HashOf(KeyOf(tenant))),
        })]),
        ["tenants"] = new JsonObject
        {
            ["giver"] = new JsonObject { ["share_prefixes"] = true },
            ["taker"] = new JsonObject { ["share_prefixes"] = true },
        },
    }.ToJsonString();

    private sealed class Times
    {
        private readonly List<double> _ms = [];
        private long _cached;

        public double Median => LoadFigures.Percentile([.. _ms.Order()], 50);

        public void Add(double ms, long cached)
        {
            _ms.Add(ms);
            _cached += cached;
        }

        public HitTiming Beside(Times unseen)
        {
            var faster = _ms.Sum(own => unseen._ms.Sum(other => own < other ? 1.0 : own == other ? 0.5 : 0));
            return new HitTiming(Median, faster / _ms.Count / unseen._ms.Count, _cached);
        }
    }
}
