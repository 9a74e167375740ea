using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Krewe.Models;

namespace Krewe.Cli;

/// <summary>First tokens of long prompts; times in ms from sending.</summary>
/// <param name="PromptTokens">As the server counted them.</param>
/// <param name="BodyBytes">Of one request.</param>
internal sealed record LongPromptFigures(int PromptTokens, long BodyBytes, double TtftP50, double TtftMax);

/// <summary>What <c>krewe bench prompts --json</c> prints.</summary>
/// <param name="AtOnce">Requests at once.</param>
/// <param name="Ids">Prompts that are token ids.</param>
/// <param name="Text">Prompts that the silo tokenizes.</param>
/// <param name="SiloMiB">Resident memory of the silo at the end.</param>
internal sealed record LongPromptReport(
    int AtOnce, int Requests, LongPromptFigures Ids, LongPromptFigures Text, double SiloMiB);

/// <summary>Prompts as long as contexts are today, through the gateway to a worker that computes nothing.</summary>
internal sealed class LongPromptBench(
    ModelFolder model, int tokens, int requests, int atOnce, Terminal terminal, TimeProvider time)
{
    private const int OutputTokens = 1;
    private const int BytesPerTokenMax = 4;

    public async Task<LongPromptReport> RunAsync(CancellationToken cancellationToken)
    {
        using var folder = new LongContext(model, tokens + OutputTokens);
        await using var cluster = await MockCluster.StartAsync(folder.Model, [], terminal, time, cancellationToken);
        var random = new Random(51);
        var ids = await MeasureAsync(
            cluster.Http,
            () => new JsonArray([.. LoadPlan.Prompt(random, tokens, model.Config.VocabularySize)
                .Select(token => (JsonNode)token)]),
            cancellationToken);
        var text = TextOf(tokens);
        var said = await MeasureAsync(cluster.Http, () => JsonValue.Create(text)!, cancellationToken);
        return new LongPromptReport(atOnce, requests, ids, said, cluster.SiloMiB);
    }

    private async Task<LongPromptFigures> MeasureAsync(
        HttpClient http, Func<JsonNode> prompt, CancellationToken cancellationToken)
    {
        // The first ones warm up.
        await AskAsync(http, prompt(), cancellationToken);
        await AskAsync(http, prompt(), cancellationToken);
        List<double> times = [];
        var (counted, bytes) = (0, 0L);
        for (var sent = 0; sent < requests; sent += atOnce)
        {
            var prompts = Enumerable.Range(0, Math.Min(atOnce, requests - sent)).Select(_ => prompt()).ToList();
            foreach (var (ms, promptTokens, bodyBytes) in await Task.WhenAll(
                prompts.Select(one => AskAsync(http, one, cancellationToken))))
            {
                times.Add(ms);
                (counted, bytes) = (promptTokens, bodyBytes);
            }
        }

        double[] sorted = [.. times.Order()];
        return new LongPromptFigures(counted, bytes, LoadFigures.Percentile(sorted, 50), sorted[^1]);
    }

    private async Task<(double Ms, int PromptTokens, long BodyBytes)> AskAsync(
        HttpClient http, JsonNode prompt, CancellationToken cancellationToken)
    {
        var body = Encoding.UTF8.GetBytes(new JsonObject
        {
            ["prompt"] = prompt,
            ["max_tokens"] = OutputTokens,
            ["stream"] = true,
            ["stream_options"] = new JsonObject { ["include_usage"] = true },
            ["return_token_ids"] = true,
        }.ToJsonString());
        await Task.Yield();
        using var message = new HttpRequestMessage(HttpMethod.Post, "v1/completions")
        {
            Content = new ByteArrayContent(body)
            {
                Headers = { ContentType = new MediaTypeHeaderValue("application/json") },
            },
        };
        var begun = time.GetTimestamp();
        using var response = await http.SendAsync(
            message, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        if (!response.IsSuccessStatusCode)
        {
            throw new InvalidOperationException(
                $"The silo refused: {await response.Content.ReadAsStringAsync(cancellationToken)}");
        }

        // Nothing is sent before the first token.
        var ms = time.GetElapsedTime(begun).TotalMilliseconds;
        var events = await response.Content.ReadAsStringAsync(cancellationToken);
        var usage = events.Split('\n').Last(line => line.StartsWith("data: {", StringComparison.Ordinal))[6..];
        return (ms, JsonNode.Parse(usage)!["usage"]!["prompt_tokens"]!.GetValue<int>(), body.Length);
    }

    /// <summary>A text of at most so many tokens, and not many fewer.</summary>
    private string TextOf(int most)
    {
        var text = BenchText.OfBytes(most * BytesPerTokenMax);
        var (fits, tooLong) = (0, text.Length);
        while (tooLong - fits > 64)
        {
            var middle = (fits + tooLong) / 2;
            if (model.Tokenizer.Encode(text[..middle], addSpecialTokens: false).Length <= most) fits = middle;
            else tooLong = middle;
        }

        return text[..fits];
    }

    /// <summary>The model's folder with room for long contexts: nothing computes with it.</summary>
    private sealed class LongContext : IDisposable
    {
        private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("krewe-bench-");

        public LongContext(ModelFolder model, int tokens)
        {
            foreach (var file in Directory.GetFiles(model.Directory))
                File.Copy(file, Path.Combine(_folder.FullName, Path.GetFileName(file)));
            var path = Path.Combine(_folder.FullName, "config.json");
            var config = JsonNode.Parse(File.ReadAllText(path))!;
            config["max_position_embeddings"] = Math.Max(tokens, model.Config.MaxPositions);
            File.WriteAllText(path, config.ToJsonString());
            Model = ModelFolder.Open(_folder.FullName, openWeights: false);
        }

        public ModelFolder Model { get; }

        public void Dispose()
        {
            Model.Dispose();
            _folder.Delete(recursive: true);
        }
    }
}
