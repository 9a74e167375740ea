using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Krewe.Abstractions;
using Krewe.Silo.Tests.Harness;

namespace Krewe.Silo.Tests.Gateway;

/// <summary>Thoughts in /v1/responses and /v1/messages: items and blocks of their own, there and back.</summary>
public sealed class ThoughtItemTests
{
    private const string Responses = "/v1/responses";
    private const string Messages = "/v1/messages";
    private const string Ask = "\"input\":\"hello\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]";
    private const string Tools = "\"tools\":[{\"type\":\"function\",\"name\":\"now\",\"input_schema\":{}}]";
    private const string Call = "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";
    private const string Thoughts = "One < two,\n\nso 2.";
    private const string Cut = "in the midst of the thought";
    private const string Scores = "\"include\":[\"message.output_text.logprobs\"]";
    private const string Thought = $"<think>\n{Thoughts}\n</think>\n\n";

    [Theory]
    [InlineData(Thought + "It is 2.", "", "reasoning:completed message:completed")]
    [InlineData(Thought + "It is 2.", Scores, "reasoning:completed message:completed")]
    [InlineData(" It is 2.", Scores, "message:completed")]
    [InlineData(Thought + Call, Tools, "reasoning:completed function_call:completed")]
    [InlineData(Thought + "It is " + Call, Tools, "reasoning:completed message:completed function_call:completed")]
    [InlineData("<think>\nOne < two", Cut, "reasoning:incomplete")]
    [InlineData(Thought + "It is 2.", "\"include_reasoning\":false", "message:completed")]
    [InlineData("It is 2.", "", "message:completed")]
    public async Task A_response_has_thoughts_as_an_item_whole_and_streamed(string output, string more, string items)
    {
        await using var harness = await StartAsync(output);
        if (more == Cut) more = $"\"max_output_tokens\":{TestModel.Encode("<think>\nOne").Length}";
        var body = more.Length == 0 ? Ask : $"{Ask},{more}";

        var whole = await Json.OfAsync(await harness.PostAsync(Responses, $"{{{body}}}"));
        var events = await StreamAsync(harness, Responses, $"{{{body},\"stream\":true}}");

        Assert.Equal(items, string.Join(' ', whole.At("output").EnumerateArray().Select(
            item => $"{item.Text("type")}:{item.Text("status")}")));
        Assert.Equal(Shape(whole.At("output")), Shape(events[^1].At("response.output")));
        Assert.Equal(Shape(whole.At("output")), Shape(Assemble(events)));
        Assert.Equal(Usage(whole), Usage(events[^1].At("response")));
        Assert.Equal(Enumerable.Range(0, events.Count), events.Select(item => item.Int("sequence_number")));
        if (!items.StartsWith("reasoning:completed", StringComparison.Ordinal)) return;
        Assert.Equal(Thoughts, whole.Text("output.0.content.0.text"));
        Assert.StartsWith("rs_", whole.Text("output.0.id"), StringComparison.Ordinal);
        Assert.InRange(whole.Int("usage.output_tokens_details.reasoning_tokens"), 9, 60);
        Assert.Equal(
            [
                "response.output_item.added", "response.content_part.added", "response.reasoning_text.delta",
                "response.reasoning_text.done", "response.content_part.done", "response.output_item.done",
            ],
            events.Where(item => item.TryGetProperty("output_index", out var at) && at.GetInt32() == 0)
                .Select(item => item.Text("type")!).Distinct());
    }

    [Theory]
    [InlineData(Thought + "It is 2.", "", "thinking text")]
    [InlineData(Thought + Call, Tools, "thinking tool_use")]
    [InlineData(Thought + "It is " + Call, Tools, "thinking text tool_use")]
    [InlineData("<think>\nOne < two", "", "thinking")]
    [InlineData(Thought + "It is 2.", "\"thinking\":{\"type\":\"disabled\"}", "text")]
    [InlineData(Thought + "It is 2.", "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024}", "thinking text")]
    [InlineData("It is 2.", "", "text")]
    public async Task A_message_has_thoughts_as_a_block_whole_and_streamed(string output, string more, string blocks)
    {
        await using var harness = await StartAsync(output);
        var body = $"{Ask},\"max_tokens\":400" + (more.Length == 0 ? "" : $",{more}");

        var whole = await Json.OfAsync(await harness.PostAsync(Messages, $"{{{body}}}"));
        var events = await StreamAsync(harness, Messages, $"{{{body},\"stream\":true}}");

        var content = whole.At("content").EnumerateArray().ToList();
        Assert.Equal(blocks, string.Join(' ', content.Select(block => block.Text("type"))));
        Assert.Equal(
            content.Select(block => block.Text("type")),
            events.Where(item => item.Text("type") == "content_block_start")
                .Select(item => item.Text("content_block.type")));
        Assert.Equal(
            events.Count(item => item.Text("type") == "content_block_start"),
            events.Count(item => item.Text("type") == "content_block_stop"));
        Assert.Equal(TextOf(content, "text"), DeltasOf(events, "text_delta", "text"));
        Assert.Equal(TextOf(content, "thinking"), DeltasOf(events, "thinking_delta", "thinking"));
        Assert.Equal(TextOf(content, "signature"), DeltasOf(events, "signature_delta", "signature"));
        if (!blocks.StartsWith("thinking", StringComparison.Ordinal)) return;
        var digest = SHA256.HashData(Encoding.UTF8.GetBytes(TextOf(content, "thinking")));
        Assert.Equal(Convert.ToBase64String(digest), TextOf(content, "signature"));
    }

    [Theory]
    [InlineData("/v1/chat/completions", """
        {"messages":[{"role":"user","content":"hi"},
         {"role":"assistant","content":"So","reasoning_content":"I think.","tool_calls":[
          {"id":"c","type":"function","function":{"name":"now","arguments":"{}"}}]},
         {"role":"tool","tool_call_id":"c","content":"noon"}]}
        """)]
    [InlineData(Responses, """
        {"input":[{"role":"user","content":"hi"},
         {"type":"reasoning","id":"rs_1","summary":[],"content":[{"type":"reasoning_text","text":"I think."}]},
         {"type":"message","role":"assistant","content":[{"type":"output_text","text":"So"}]},
         {"type":"function_call","call_id":"c","name":"now","arguments":"{}"},
         {"type":"function_call_output","call_id":"c","output":"noon"}]}
        """)]
    [InlineData(Messages, """
        {"max_tokens":9,"messages":[{"role":"user","content":"hi"},
         {"role":"assistant","content":[{"type":"thinking","thinking":"I think.","signature":"x"},
          {"type":"text","text":"So"},{"type":"tool_use","id":"c","name":"now","input":{}}]},
         {"role":"user","content":[{"type":"tool_result","tool_use_id":"c","content":"noon"}]}]}
        """)]
    public async Task Thoughts_that_come_back_are_given_to_the_template(string path, string body)
    {
        using var qwen = new QwenFolder();
        await using var harness = await qwen.StartAsync("done");

        (await harness.PostAsync(path, body)).EnsureSuccessStatusCode();

        Assert.Contains(
            $"<|im_start|>assistant\n<think>\nI think.\n</think>\n\nSo\n{Call}<|im_end|>",
            QwenFolder.PromptOf(harness), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"type":"reasoning","summary":[{"type":"summary_text","text":"I think."}],"content":[]}""")]
    [InlineData("""{"type":"reasoning","summary":[],"encrypted_content":"x"}""")]
    public async Task Thoughts_of_an_earlier_turn_are_dropped_as_the_template_has_it(string item)
    {
        using var qwen = new QwenFolder();
        await using var harness = await qwen.StartAsync("done");

        (await harness.PostAsync(Responses, $$"""
            {"input":[{"role":"user","content":"hi"},{{item}},
             {"type":"message","role":"assistant","content":"So"},{"role":"user","content":"on"}]}
            """)).EnsureSuccessStatusCode();

        Assert.Contains("<|im_start|>assistant\nSo<|im_end|>", QwenFolder.PromptOf(harness), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"content\":\"<think>\\nLet me\"", "Let me")]
    [InlineData("\"content\":\"\",\"reasoning_content\":\"Let me\"", "Let me")]
    [InlineData("\"content\":\"\",\"reasoning_content\":\"think\"", "think")] // as in the tag behind it
    public async Task A_thought_that_is_to_go_on_is_the_end_of_the_prompt(string message, string thought)
    {
        using var qwen = new QwenFolder();
        await using var harness = await qwen.StartAsync(" see.\n</think>\n\nNoon.");

        var answer = await Json.OfAsync(await harness.PostAsync("/v1/chat/completions", $$"""
            {"messages":[{"role":"user","content":"hi"},{"role":"assistant",{{message}}}],"continue_final_message":true}
            """));

        Assert.EndsWith(
            $"<|im_start|>assistant\n<think>\n{thought}", QwenFolder.PromptOf(harness), StringComparison.Ordinal);
        Assert.Equal(" see.", answer.Text("choices.0.message.reasoning_content"));
        Assert.Equal("Noon.", answer.Text("choices.0.message.content"));
    }

    [Theory]
    [InlineData("/v1/chat/completions", "\"reasoning_effort\":\"none\"", "<think>\n\n</think>\n\n")]
    [InlineData("/v1/chat/completions", "\"reasoning_effort\":\"low\"", "<|im_start|>assistant\n")]
    [InlineData(Responses, "\"reasoning\":{\"effort\":\"none\"}", "<think>\n\n</think>\n\n")]
    public async Task An_effort_of_none_is_not_to_think(string path, string effort, string end)
    {
        using var qwen = new QwenFolder();
        await using var harness = await qwen.StartAsync("done");

        (await harness.PostAsync(path, $"{{{Ask},{effort}}}")).EnsureSuccessStatusCode();

        Assert.EndsWith(end, QwenFolder.PromptOf(harness), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("disabled", "<think>\n\n</think>\n\n")]
    [InlineData("enabled", "<|im_start|>assistant\n")]
    public async Task A_message_says_whether_the_model_thinks(string type, string end)
    {
        using var qwen = new QwenFolder();
        await using var harness = await qwen.StartAsync("done");

        (await harness.PostAsync(Messages, $$"""
            {"messages":[{"role":"user","content":"hi"}],"max_tokens":9,
             "thinking":{"budget_tokens":1024,"type":"{{type}}" } }
            """)).EnsureSuccessStatusCode();

        Assert.EndsWith(end, QwenFolder.PromptOf(harness), StringComparison.Ordinal);
    }

    /// <summary>What every reader of an output must see alike: without ids of the request.</summary>
    private static string Shape(JsonElement output) => string.Join('\n', output.EnumerateArray().Select(item =>
        string.Join(' ', item.Text("type"), item.Text("status"), item.TryGetProperty("content", out var content)
            ? content.GetRawText()
            : item.Text("arguments"))));

    /// <summary>Without the cached tokens, which a worker may tell too late for one of the two.</summary>
    private static (int, int, int) Usage(JsonElement response) => (
        response.Int("usage.input_tokens"), response.Int("usage.output_tokens"),
        response.Int("usage.output_tokens_details.reasoning_tokens"));

    /// <summary>The items of a stream's done events, which must be what its deltas make.</summary>
    private static JsonElement Assemble(List<JsonElement> events)
    {
        var texts = new SortedDictionary<int, StringBuilder>();
        List<JsonElement> items = [];
        foreach (var item in events)
        {
            if (item.TryGetProperty("delta", out var delta))
            {
                var at = item.Int("output_index");
                if (!texts.TryGetValue(at, out var text)) texts.Add(at, text = new StringBuilder());
                text.Append(delta.GetString());
            }

            if (item.Text("type") == "response.output_item.done") items.Add(item.At("item"));
        }

        foreach (var (at, text) in texts)
        {
            Assert.Equal(
                items[at].TryGetProperty("content", out var content)
                    ? content.Text("0.text")
                    : items[at].Text("arguments"),
                text.ToString());
        }

        using var document = JsonDocument.Parse($"[{string.Join(',', items.Select(item => item.GetRawText()))}]");
        return document.RootElement.Clone();
    }

    private static string TextOf(List<JsonElement> content, string name) => string.Concat(
        content.Select(block => block.TryGetProperty(name, out var text) ? text.GetString() : ""));

    private static string DeltasOf(List<JsonElement> events, string type, string name) => string.Concat(events
        .Where(item => item.Text("type") == "content_block_delta" && item.Text("delta.type") == type)
        .Select(item => item.Text($"delta.{name}")));

    private static async Task<List<JsonElement>> StreamAsync(SiloHarness harness, string path, string body)
    {
        using var stream = new EventStream(await harness.PostStreamAsync(path, body));
        List<JsonElement> events = [];
        while (await stream.NextAsync() is { } data)
        {
            using var document = JsonDocument.Parse(data);
            events.Add(document.RootElement.Clone());
        }

        return events;
    }

    private static async Task<SiloHarness> StartAsync(string output)
    {
        var harness = await SiloHarness.StartPairAsync(
            options => options with { ReasoningParser = ReasoningParser.Think });
        harness.Script = start => SiloHarness.Limited(start, TestModel.Encode(output));
        return harness;
    }
}
