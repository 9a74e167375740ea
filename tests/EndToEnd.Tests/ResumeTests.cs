using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using Krewe.EndToEnd.Tests.Harness;
using Xunit.Abstractions;

namespace Krewe.EndToEnd.Tests;

/// <summary>
/// A stream that is cut at random points, by its client or by kill -9 of a worker, and taken up again is the uncut one
/// byte for byte.
/// </summary>
public sealed class ResumeTests(NervousCluster fixture, ITestOutputHelper output)
    : ClusterTest(fixture, output), IClassFixture<NervousCluster>
{
    private const int Seed = 20_261_128;
    private const string IdHeader = "x-request-id";

    [Fact]
    public Task A_stream_that_is_cut_and_resumed_equals_the_uncut_one() => CutAsync(cuts: 12, killEvery: 6);

    [LongFact("3 minutes")]
    public Task A_stream_that_is_cut_at_a_hundred_points_equals_the_uncut_one() => CutAsync(cuts: 100, killEvery: 10);

    private async Task CutAsync(int cuts, int killEvery)
    {
        Output.WriteLine($"seed {Seed}");
        var random = new Random(Seed);
        for (var cut = 0; cut < cuts; cut++)
        {
            var body = Body(random.Next());
            if (cut % 3 == 2) Constrain(body);
            var key = $"cut-{cut}-{random.Next()}";
            var uncut = await ReadAllAsync(await OpenAsync(body, $"{key}-uncut"));
            var at = random.Next(1, uncut.Length);
            var kills = cut % killEvery == killEvery - 1;

            var victim = cut / killEvery % 2 == 0 ? "decode" : "prefill";
            var before = (await Cluster.StateAsync()).Worker($"{victim}-0").Pid;
            var got = await CutOnceAsync(body, key, at, kills ? victim : null);

            // Only what names the request differs.
            Assert.Equal(Anonymous(uncut), Anonymous(got));
            if (!kills) continue;

            // Its end may not have been noticed yet: until then everything seems to be there.
            await Cluster.WhenAsync(
                state => state.Workers.Any(worker => worker.Id == $"{victim}-0" && worker.Pid != before),
                "the killed worker's successor");
            await Cluster.WhenAllReturnedAsync(workers: 2);
        }

        Assert.Equal(0, (await Cluster.WhenAllReturnedAsync(workers: 2)).Tokens.Contradicting);
    }

    /// <summary>Reads some bytes, cuts the connection, maybe kills a worker, and reads on behind the last whole event.
    /// </summary>
    private async Task<string> CutOnceAsync(JsonObject body, string key, int bytes, string? killed)
    {
        var before = new StringBuilder();
        string id;
        using (var response = await OpenAsync(body, key))
        {
            id = response.Headers.GetValues(IdHeader).Single();
            using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
            var buffer = new char[64];
            while (before.Length < bytes && await reader.ReadAsync(buffer.AsMemory()) is > 0 and var read)
                before.Append(buffer, 0, Math.Min(read, bytes - before.Length));
        }

        if (killed is not null) Signals.Kill((await Cluster.StateAsync()).Worker($"{killed}-0").Pid);
        var whole = before.ToString();
        whole = whole[..(whole.LastIndexOf("\n\n", StringComparison.Ordinal) is >= 0 and var end ? end + 2 : 0)];
        var last = whole.Split('\n').LastOrDefault(line => line.StartsWith("id: ", StringComparison.Ordinal));
        using var message = new HttpRequestMessage(HttpMethod.Get, $"/v1/requests/{id}/stream");
        if (last is not null) message.Headers.Add("Last-Event-ID", last["id: ".Length..]);
        var rest = await Cluster.Http.SendAsync(message, HttpCompletionOption.ResponseHeadersRead);
        return whole + await ReadAllAsync(rest);
    }

    private async Task<HttpResponseMessage> OpenAsync(JsonObject body, string key)
    {
        using var message = new HttpRequestMessage(HttpMethod.Post, "/v1/completions");
        message.Content = JsonContent.Create(body);
        message.Headers.Add("Idempotency-Key", key);
        return await Cluster.Http.SendAsync(message, HttpCompletionOption.ResponseHeadersRead);
    }

    private async Task<string> ReadAllAsync(HttpResponseMessage response)
    {
        using var owned = response;
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, $"{text}\n{Cluster.LogTail()}");
        return text;
    }

    private static string Anonymous(string stream) => string.Join('\n', stream.Split('\n').Select(line =>
    {
        if (!line.StartsWith("data: {", StringComparison.Ordinal)) return line;
        var chunk = JsonNode.Parse(line["data: ".Length..])!.AsObject();
        chunk["id"] = chunk["created"] = null;
        return chunk.ToJsonString();
    }));

    /// <summary>Every third answer has a form of its own.</summary>
    private static void Constrain(JsonObject body)
    {
        body["ignore_eos"] = false;
        body["structured_outputs"] = new JsonObject { ["regex"] = "([a-z]{2,6} [0-9]{1,3}, ){6}end" };
    }

    private static JsonObject Body(int seed) => new()
    {
        ["prompt"] = new JsonArray([.. new Prompts(seed).OfLength(60).Select(id => (JsonNode)id)]),
        ["max_tokens"] = 40,
        ["seed"] = seed,
        ["temperature"] = 0.9,
        ["logprobs"] = 2,
        ["ignore_eos"] = true,
        ["stream"] = true,
    };
}
