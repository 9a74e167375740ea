using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Krewe.EndToEnd.Tests.Harness;
using Xunit.Abstractions;

namespace Krewe.EndToEnd.Tests;

/// <summary>
/// Everything that shapes an answer, at once: several choices, penalties, biases, log-probabilities of prompt and
/// output. The answer is the same bytes handed off, on a mixed worker, and after a kill -9.
/// </summary>
public sealed class SamplingTests(NervousCluster fixture, ITestOutputHelper output)
    : ClusterTest(fixture, output), IClassFixture<NervousCluster>
{
    [Fact]
    public async Task Choices_and_log_probabilities_are_the_same_handed_off_mixed_and_after_a_kill()
    {
        var body = Body(length: 300, choices: 4);

        var handedOff = await AskAsync(Cluster, body);
        var again = await AskAsync(Cluster, body);
        Cluster.Hold("decoding", "decode");
        var answering = AskAsync(Cluster, body);
        await Cluster.WhenHeldAsync();
        Signals.Kill((await Cluster.StateAsync()).Worker("decode-0").Pid);
        var continued = await answering.WaitAsync(Patience.Hang);
        await using var mixedCluster = await KreweCluster.StartAsync("--mixed", "1");
        var mixed = await AskAsync(mixedCluster, body);

        Assert.Equal(4, handedOff.Select(choice => choice["token_ids"]!.ToJsonString()).Distinct().Count());
        AssertSame(handedOff, again);
        AssertSame(handedOff, mixed);
        AssertSame(handedOff, continued);
        Assert.Equal(0, (await Cluster.WhenAllReturnedAsync(workers: 2)).Tokens.Contradicting);
    }

    [Fact]
    public async Task A_choice_is_what_it_would_be_without_the_others()
    {
        var four = await AskAsync(Cluster, Body(length: 40, choices: 4));
        var two = await AskAsync(Cluster, Body(length: 40, choices: 2));

        AssertSame(four[..2], two);
    }

    [Fact]
    public async Task Another_seed_gives_another_answer()
    {
        // The positive control: these answers can differ.
        var body = Body(length: 40, choices: 2);
        var one = await AskAsync(Cluster, body);
        body["seed"] = 78;
        var other = await AskAsync(Cluster, body);

        Assert.NotEqual(one[0].ToJsonString(), other[0].ToJsonString());
    }

    [Fact]
    public async Task The_log_probabilities_of_an_echo_do_not_depend_on_the_cache()
    {
        var body = Body(length: 100, choices: 1);
        body["echo"] = true;

        var first = await AskAsync(Cluster, body);
        var second = await AskAsync(Cluster, body);

        AssertSame(first, second);
        Assert.Equal(100 + 24, first[0]["logprobs"]!["token_logprobs"]!.AsArray().Count);
    }

    private static void AssertSame(JsonObject[] expected, JsonObject[] actual) => Assert.Equal(
        expected.Select(choice => choice.ToJsonString()), actual.Select(choice => choice.ToJsonString()));

    private static JsonObject Body(int length, int choices) => new()
    {
        ["prompt"] = new JsonArray([.. new Prompts(4711).OfLength(length).Select(id => (JsonNode)id)]),
        ["max_tokens"] = 24,
        ["n"] = choices,
        ["seed"] = 77,
        ["temperature"] = 0.9,
        ["top_p"] = 0.95,
        ["min_p"] = 0.01,
        ["presence_penalty"] = 0.5,
        ["frequency_penalty"] = 0.25,
        ["repetition_penalty"] = 1.1,
        ["logit_bias"] = new JsonObject { ["5"] = -3, ["100"] = 1.5 },
        ["logprobs"] = 3,
        ["ignore_eos"] = true,
        ["return_token_ids"] = true,
    };

    private static async Task<JsonObject[]> AskAsync(KreweCluster cluster, JsonObject body)
    {
        using var answer = await cluster.Http.PostAsJsonAsync("/v1/completions", body);
        var text = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.IsSuccessStatusCode, $"{text}\n{cluster.LogTail()}");
        return [.. JsonNode.Parse(text)!["choices"]!.AsArray().Select(choice => choice!.AsObject())];
    }
}
