using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using Krewe.EndToEnd.Tests.Harness;
using Xunit.Abstractions;

namespace Krewe.EndToEnd.Tests;

/// <summary>One prefill and two decode workers that nothing breaks.</summary>
public sealed class TwoDecodeCluster() : ClusterFixture("--decode", "2");

/// <summary>
/// Every running request is migrated as often as possible: every stream is that of an undisturbed process, and no block
/// leaks.
/// </summary>
public sealed class MigrationFloodTests(TwoDecodeCluster fixture, ITestOutputHelper output)
    : ClusterTest(fixture, output), IClassFixture<TwoDecodeCluster>
{
    private const int StreamsAtOnce = 6;

    [Fact]
    public Task Seconds_of_migrations_change_no_token() => FloodAsync(TimeSpan.FromSeconds(12), migrations: 50);

    [LongFact("ten minutes")]
    public Task Ten_minutes_of_migrations_change_no_token() => FloodAsync(TimeSpan.FromMinutes(10), migrations: 2000);

    // The answer as a whole: text cut at a stop string, log-probabilities, several choices.
    [Theory]
    [InlineData("""{"max_tokens": 200, "stop": ["19"]}""")]
    [InlineData("""{"max_tokens": 200, "stop": [" 23", "never"]}""")]
    [InlineData("""{"max_tokens": 120, "temperature": 1, "seed": 4, "ignore_eos": true, "return_token_ids": true}""")]
    [InlineData("""{"max_tokens": 1}""")]
    [InlineData("""{"max_tokens": 120, "temperature": 1, "seed": 5, "ignore_eos": true, "logprobs": 3}""")]
    [InlineData("""{"max_tokens": 120, "temperature": 1, "seed": 6, "ignore_eos": true, "n": 3}""")]
    public async Task An_answer_is_the_same_under_a_flood(string fields)
    {
        var undisturbed = await AnswerAsync(fields, null, 0);
        await using var flooder = new Flooder(Cluster, "decode-0", "decode-1");
        for (var i = 0; i < 5; i++) Assert.Equal(undisturbed, await AnswerAsync(fields, flooder, i));
        await Cluster.WhenAllReturnedAsync(workers: 3);
    }

    [Fact]
    public async Task A_client_that_leaves_in_the_middle_of_a_migration_leaves_nothing_behind()
    {
        await using (var flooder = new Flooder(Cluster, "decode-0", "decode-1"))
        {
            for (var i = 0; i < 20; i++)
            {
                var request = new TokenRequest(new Prompts(500 + i).OfLength(40), 400, 1, i, IgnoreEos: true);
                using var stream = await request.OpenAsync(Cluster);
                flooder.Add(stream.RequestId);
                await stream.ReadAsync(enough: 10 + (5 * i));
            }
        }

        var state = await Cluster.WhenAllReturnedAsync(workers: 3);
        Assert.Equal(0, state.Tokens.Contradicting);
    }

    private async Task FloodAsync(TimeSpan duration, int migrations)
    {
        var seed = 20261128;
        var prompts = new Prompts(seed);
        Output.WriteLine($"seed {seed}");

        // Around a block's boundary, short, long, sampled and greedy, and two that count.
        TokenRequest[] requests =
        [
            .. new[] { 1, 15, 16, 17, 31, 32, 33, 100, 300 }.Select((length, i) =>
                new TokenRequest(prompts.OfLength(length), 180, i % 2, seed + i, IgnoreEos: true)),
            new TokenRequest(prompts.OfLength(40), 1, 0, 1, IgnoreEos: true),
            new TokenRequest(prompts.OfLength(40), 2, 0, 1, IgnoreEos: true),
            new TokenRequest(Prompts.Chat("Count from 7 to 40."), 180, 0, 1, IgnoreEos: false),
            new TokenRequest(Prompts.Chat("Count from 1 to 30."), 180, 0, 1, IgnoreEos: false),
        ];
        var expected = await Offline.TokensAsync(requests);
        await using var flooder = new Flooder(Cluster, "decode-0", "decode-1");
        var clock = Stopwatch.StartNew();
        var (next, streams, moved) = (0, 0, 0);
        await Task.WhenAll(Enumerable.Range(0, StreamsAtOnce).Select(async _ =>
        {
            while (clock.Elapsed < duration || (moved < migrations && clock.Elapsed < duration + Patience.Hang))
            {
                var which = Interlocked.Increment(ref next) % requests.Length;
                using var stream = await requests[which].OpenAsync(Cluster);
                flooder.Add(stream.RequestId);
                var answer = await stream.ReadAsync();
                Interlocked.Add(ref moved, await flooder.RemoveAsync(stream.RequestId));
                Assert.True(answer.ErrorCode is null, $"{requests[which]}: {answer.ErrorCode}\n{Cluster.LogTail()}");
                Assert.Equal(expected[which], answer.Tokens);
                Interlocked.Increment(ref streams);
            }
        }));
        Output.WriteLine($"{streams} streams, {moved} migrations committed, {flooder.Started} begun");
        Assert.True(moved >= migrations, $"only {moved} migrations: the test tests little");
        var state = await Cluster.WhenAllReturnedAsync(workers: 3);
        Assert.Equal(0, state.Tokens.Contradicting);
    }

    private async Task<string> AnswerAsync(string fields, Flooder? flooder, int attempt)
    {
        var body = JsonNode.Parse(fields)!.AsObject();
        body["model"] = "tiny";
        body["prompt"] = new JsonArray([.. Prompts.Chat("Count from 7 to 40.").Select(id => (JsonNode)id)]);
        body["temperature"] ??= 0;
        var id = $"flood-{Guid.NewGuid():N}-{attempt}";
        using var message = new HttpRequestMessage(HttpMethod.Post, "/v1/completions");
        message.Content = JsonContent.Create(body);
        message.Headers.Add("X-Request-Id", id);
        flooder?.Add(id, (int?)body["n"] ?? 1);
        using var answer = await Cluster.Http.SendAsync(message);
        var text = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.IsSuccessStatusCode, text);
        if (flooder is not null) Output.WriteLine($"{fields}: {await flooder.RemoveAsync(id)} migrations");
        using var json = JsonDocument.Parse(text);
        return json.RootElement.GetProperty("choices").GetRawText();
    }
}
