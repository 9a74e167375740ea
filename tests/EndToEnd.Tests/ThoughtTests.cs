using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Krewe.EndToEnd.Tests.Harness;
using Xunit.Abstractions;

namespace Krewe.EndToEnd.Tests;

/// <summary>A cluster whose model is taken for one that thinks, and whose streams are never silent for long.</summary>
public sealed class ThinkingCluster() : ClusterFixture(
    "--reasoning-parser", "think", "--stream-keep-alive", "0.05", "--worker-wait", "120");

/// <summary>
/// A model that thinks before an output of a given form: its decode worker is held, and its client hears that the
/// stream lives; it is killed, and the thought and the form go on in the same tokens.
/// </summary>
public sealed class ThoughtTests(ThinkingCluster fixture, ITestOutputHelper output)
    : ClusterTest(fixture, output), IClassFixture<ThinkingCluster>
{
    [Theory]
    [InlineData(null)]
    [InlineData(12)]
    public async Task A_thought_before_a_form_is_kept_alive_while_it_is_silent_and_goes_on_after_a_kill(int? most)
    {
        await Cluster.WhenAllReturnedAsync(workers: 2);
        using var whole = await Cluster.Http.PostAsJsonAsync("/v1/chat/completions", Body(stream: false, most));
        using var expected = JsonDocument.Parse(await whole.Content.ReadAsStringAsync());
        var choice = expected.RootElement.GetProperty("choices")[0];
        var form = choice.GetProperty("message").GetProperty("content").GetString()!;

        Cluster.Hold("decoding", "decode");
        using var message = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions");
        message.Content = JsonContent.Create(Body(stream: true, most));
        using var answer = await Cluster.Http.SendAsync(message, HttpCompletionOption.ResponseHeadersRead);
        await Cluster.WhenHeldAsync();
        var (tokens, text, keepAlives) = await ReadAsync(answer);

        using var person = JsonDocument.Parse(form);
        Assert.InRange(person.RootElement.GetProperty("age").GetInt32(), 0, 120);
        Assert.NotEqual("", choice.GetProperty("message").GetProperty("reasoning_content").GetString());
        var thoughts = expected.RootElement.GetProperty("usage").GetProperty("completion_tokens_details")
            .GetProperty("reasoning_tokens").GetInt32();
        // Behind the last token that it may think stands the tag, in one token or some. Else it thinks far longer.
        if (most is { } limit) Assert.InRange(thoughts, limit + 1, limit + "</think>".Length);
        else Assert.InRange(thoughts, 50, tokens.Length - 8);
        Assert.Equal(TokenRequest.Ids(choice.GetProperty("token_ids")), tokens);
        Assert.Equal(form, text);
        Assert.InRange(keepAlives, 2, int.MaxValue);
        Assert.Equal(0, (await Cluster.WhenAllReturnedAsync(workers: 2)).Tokens.Contradicting);
    }

    /// <summary>Reads to the end, and kills the worker when two comments have come.</summary>
    private async Task<(int[] Tokens, string Text, int KeepAlives)> ReadAsync(HttpResponseMessage answer)
    {
        using var lines = new StreamReader(await answer.Content.ReadAsStreamAsync());
        List<int> tokens = [];
        var (text, keepAlives) = (new StringBuilder(), 0);
        while (await lines.ReadLineAsync().WaitAsync(Patience.Hang) is { } line && line != "data: [DONE]")
        {
            if (line == ": keep-alive" && ++keepAlives == 2)
                Signals.Kill((await Cluster.StateAsync()).Worker("decode-0").Pid);
            if (!line.StartsWith("data: ", StringComparison.Ordinal)) continue;
            using var chunk = JsonDocument.Parse(line["data: ".Length..]);
            var choice = chunk.RootElement.GetProperty("choices")[0];
            if (choice.TryGetProperty("token_ids", out var ids)) tokens.AddRange(TokenRequest.Ids(ids));
            if (!choice.GetProperty("delta").TryGetProperty("content", out var content)) continue;
            text.Append(content.GetString());
        }

        return ([.. tokens], text.ToString(), keepAlives);
    }

    private static JsonObject Body(bool stream, int? most) => new()
    {
        ["messages"] = JsonNode.Parse("""
            [{"role":"user","content":"Who are you?"},{"role":"assistant","content":"<think>\nLet me"}]
            """),
        ["continue_final_message"] = true,
        ["thinking_token_budget"] = most,
        ["response_format"] = JsonNode.Parse("""
            {"type":"json_schema","json_schema":{"name":"person","schema":{"type":"object","required":["name","age"],
             "properties":{"name":{"type":"string","maxLength":12},"age":{"type":"integer","minimum":0,"maximum":120}},
             "additionalProperties":false}}}
            """),
        ["max_tokens"] = 150,
        ["temperature"] = 0.8,
        ["seed"] = 31,
        ["return_token_ids"] = true,
        ["stream"] = stream,
    };
}
