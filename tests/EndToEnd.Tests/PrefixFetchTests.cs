using System.Net.Http.Json;
using System.Text.Json;
using System.Text.RegularExpressions;
using Krewe.EndToEnd.Tests.Harness;
using Xunit.Abstractions;

namespace Krewe.EndToEnd.Tests;

/// <summary>Two workers that do both phases.</summary>
public sealed class MixedPairCluster() : ClusterFixture("--mixed", "2");

/// <summary>A worker that takes no new work still gives its prefixes to the one that does.</summary>
public sealed partial class PrefixFetchTests(MixedPairCluster fixture, ITestOutputHelper output)
    : ClusterTest(fixture, output), IClassFixture<MixedPairCluster>
{
    [Fact]
    public async Task A_prefix_on_another_worker_is_pulled_and_the_tokens_are_the_same()
    {
        var prompt = new Prompts(71).OfLength(900);
        var request = new TokenRequest(prompt, 40, 0.8, 71, IgnoreEos: true);
        var expected = (await Offline.TokensAsync(request))[0];

        var first = await AnswerAsync(request);
        var holder = first.Worker;
        using (var cordoned = await Cluster.Http.PostAsync($"/v1/cluster/workers/{holder}/cordon", null))
            cordoned.EnsureSuccessStatusCode();
        try
        {
            // The other one must know what computing costs before it prefers to pull.
            var warming = new TokenRequest(new Prompts(72).OfLength(400), 5, 0, 72, IgnoreEos: true);
            Assert.NotEqual(holder, (await AnswerAsync(warming)).Worker);
            var second = await AnswerAsync(request);

            Assert.NotEqual(holder, second.Worker);
            Assert.Equal(expected, first.Tokens);
            Assert.Equal(expected, second.Tokens);
            Assert.Equal(0, first.Known);
            Assert.True(second.Known >= 880, $"{second.Known} tokens were known:\n{second.Life}");
            Assert.Contains($"pulled from {holder}", second.Life, StringComparison.Ordinal);
        }
        finally
        {
            using var back = await Cluster.Http.PostAsync($"/v1/cluster/workers/{holder}/uncordon", null);
        }

        await Cluster.WhenAllReturnedAsync(workers: 2);
    }

    private async Task<(string Worker, int Known, int[] Tokens, string Life)> AnswerAsync(TokenRequest request)
    {
        using var stream = await request.OpenAsync(Cluster);
        var answer = await stream.ReadAsync();
        Assert.Null(answer.ErrorCode);
        var life = await Cluster.Http.GetFromJsonAsync<JsonElement>($"/v1/requests/{stream.RequestId}");
        var worker = life.GetProperty("plan").GetProperty("decode_worker").GetString()!.Split('#')[0];
        var known = PrefillStarted().Match(life.ToString()).Groups[1].Value;
        return (worker, int.Parse(known, null), [.. answer.Tokens], life.ToString());
    }

    [GeneratedRegex(@"prefill started; (\d+) tokens")]
    private static partial Regex PrefillStarted();
}
