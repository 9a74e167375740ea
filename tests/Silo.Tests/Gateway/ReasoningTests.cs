using System.Net;
using System.Text;
using System.Text.Json;
using Krewe.Abstractions;
using Krewe.Models;
using Krewe.Silo.Gateway.Answers;
using Krewe.Silo.Gateway.Reasoning;
using Krewe.Silo.Gateway.Requests;
using Krewe.Silo.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace Krewe.Silo.Tests.Gateway;

/// <summary>A model that thinks before it answers: its thoughts have a field of their own.</summary>
public sealed class ReasoningTests
{
    private const string Chat = "/v1/chat/completions";
    private const string Ask = "\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]";
    private const string Now = "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"now\"}}]";
    private const string Call = "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";
    private const string Thought = "<think>\nOne < two,\n\nso 2.\n</think>\n\nIt is 2.";

    [Fact]
    public async Task Thoughts_have_a_field_of_their_own()
    {
        await using var harness = await StartAsync(Thought);

        var answer = await Json.OfAsync(await harness.PostAsync(Chat, $"{{{Ask}}}"));

        Assert.Equal("It is 2.", answer.Text("choices.0.message.content"));
        Assert.Equal("One < two,\n\nso 2.", answer.Text("choices.0.message.reasoning_content"));
    }

    [Fact]
    public async Task A_stream_tells_the_same_in_pieces()
    {
        await using var harness = await StartAsync(Thought);

        var (thoughts, content) = await StreamAsync(harness, $"{{{Ask},\"stream\":true}}");

        Assert.Equal("One < two,\n\nso 2.", thoughts);
        Assert.Equal("It is 2.", content);
    }

    [Fact]
    public async Task Without_the_parser_or_without_thoughts_the_answer_is_the_text()
    {
        await using var off = await StartAsync(Thought, ReasoningParser.Auto);
        var whole = await Json.OfAsync(await off.PostAsync(Chat, $"{{{Ask}}}"));
        await using var harness = await StartAsync(" 1 <think> 2");
        var plain = await Json.OfAsync(await harness.PostAsync(Chat, $"{{{Ask}}}"));

        // The bundled model's template has no such tags.
        Assert.Equal(Thought, whole.Text("choices.0.message.content"));
        Assert.False(whole.At("choices.0.message").TryGetProperty("reasoning_content", out _));
        Assert.Equal("1 <think> 2", plain.Text("choices.0.message.content")!.Trim());
        Assert.False(plain.At("choices.0.message").TryGetProperty("reasoning_content", out _));
    }

    [Fact]
    public async Task A_request_may_leave_thoughts_out_or_have_them_in_the_text()
    {
        await using var harness = await StartAsync(Thought);

        var without = await Json.OfAsync(await harness.PostAsync(Chat, $"{{{Ask},\"include_reasoning\":false}}"));
        var within = await Json.OfAsync(await harness.PostAsync(Chat, $"{{{Ask},\"separate_reasoning\":false}}"));

        Assert.Equal("It is 2.", without.Text("choices.0.message.content"));
        Assert.False(without.At("choices.0.message").TryGetProperty("reasoning_content", out _));
        Assert.Equal(Thought, within.Text("choices.0.message.content"));
    }

    [Fact]
    public async Task An_answer_that_is_cut_while_it_thinks_has_no_content()
    {
        await using var harness = await StartAsync(Thought);
        var most = TestModel.Encode("<think>\nOne <").Length;

        var answer = await Json.OfAsync(await harness.PostAsync(Chat, $"{{{Ask},\"max_tokens\":{most}}}"));

        Assert.Equal("length", answer.Text("choices.0.finish_reason"));
        Assert.Null(answer.Text("choices.0.message.content"));
        Assert.StartsWith("O", answer.Text("choices.0.message.reasoning_content"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("<think>\nMaybe?\n</think>\n\n")]
    [InlineData("<think>\nMaybe?\n")] // a call that opens in thoughts is all that workers let follow
    public async Task Calls_behind_thoughts_are_calls(string between)
    {
        await using var harness = await StartAsync(between + Call);

        var answer = await Json.OfAsync(await harness.PostAsync(
            Chat, "{" + Ask + ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"now\"}}]}"));

        Assert.Equal("Maybe?", answer.Text("choices.0.message.reasoning_content"));
        Assert.Equal("now", answer.Text("choices.0.message.tool_calls.0.function.name"));
        Assert.Equal("tool_calls", answer.Text("choices.0.finish_reason"));
        Assert.Null(answer.Text("choices.0.message.content"));
    }

    [Theory]
    [InlineData("<think>\nOne < two,\n\nso 2.\n</think>", "\n\nIt is 2.")]
    [InlineData("<think>\nOne", " < two")] // cut
    [InlineData("", "It is 2.")]
    public async Task Usage_counts_thoughts_with_their_tags_streamed_or_not(string thoughts, string rest)
    {
        await using var harness = await StartAsync(thoughts + rest);
        var length = TestModel.Encode(thoughts + rest).Length;
        var most = rest == " < two" ? length : length + 1;
        var body = $"{Ask},\"max_tokens\":{most}";
        const string Usage = ",\"stream\":true,\"stream_options\":{\"include_usage\":true}";

        var whole = await Json.OfAsync(await harness.PostAsync(Chat, $"{{{body}}}"));
        var hidden = await Json.OfAsync(await harness.PostAsync(Chat, $"{{{body},\"include_reasoning\":false}}"));
        using var stream = new EventStream(await harness.PostStreamAsync(Chat, $"{{{body}{Usage}}}"));
        var last = (await stream.ToEndAsync())[^1];

        const string Count = "usage.completion_tokens_details.reasoning_tokens";
        var count = whole.Int(Count);
        Assert.InRange(count, TestModel.Encode(thoughts).Length, rest == " < two" ? length : length - 5);
        Assert.Equal((thoughts.Length > 0, most), (count > 0, whole.Int("usage.completion_tokens")));
        Assert.Equal((count, count), (hidden.Int(Count), last.Int(Count)));
    }

    [Theory]
    [InlineData("<think>\\nOne < two,")]
    [InlineData("<think>a</think> b <think>\\nOne < two,")]
    public async Task A_thought_that_is_continued_is_one_to_its_end(string content)
    {
        await using var harness = await StartAsync(" so 2.\n</think>\n\nIt is 2.");
        var body = $$"""
            "messages":[{"role":"user","content":"hello"},{"role":"assistant","content":"{{content}}"}],
            "continue_final_message":true
            """;

        var answer = await Json.OfAsync(await harness.PostAsync(Chat, $"{{{body}}}"));
        var (thoughts, text) = await StreamAsync(harness, $"{{{body},\"stream\":true}}");

        Assert.Equal(" so 2.", answer.Text("choices.0.message.reasoning_content"));
        Assert.Equal("It is 2.", answer.Text("choices.0.message.content"));
        Assert.Equal((" so 2.", "It is 2."), (thoughts, text));
    }

    [Theory]
    [InlineData("\"response_format\":{\"type\":\"json_object\"}", "{\"a\": 1}")]
    [InlineData("\"structured_outputs\":{\"regex\":\"[a-z]+\"}", "word")]
    [InlineData("\"tool_choice\":\"required\"," + Now, "")]
    [InlineData("\"response_format\":{\"type\":\"json_object\"}," + Now, "{\"a\": 1}")]
    public async Task A_model_thinks_before_an_output_of_a_given_form(string form, string content)
    {
        // A call that is named within the thought is none.
        const string Before = "<think>\nA <tool_call>?\n</think>\n\n";
        await using var harness = await StartAsync(Before + (content.Length > 0 ? content : Call));

        var answer = await Json.OfAsync(await harness.PostAsync(Chat, $"{{{Ask},{form}}}"));
        var (thoughts, text) = await StreamAsync(harness, $"{{{Ask},{form},\"stream\":true}}");

        Assert.Equal("A <tool_call>?", answer.Text("choices.0.message.reasoning_content"));
        Assert.Equal(content.Length > 0 ? content : null, answer.Text("choices.0.message.content"));
        Assert.Equal(content.Length > 0 ? "stop" : "tool_calls", answer.Text("choices.0.finish_reason"));
        Assert.Equal(("A <tool_call>?", content), (thoughts, text));
        Assert.All(harness.Prefill.Started, start => Assert.Equal(
            (ConstraintKind.Thought, false), Kind(start.Sampling.Constraint)));
    }

    [Fact]
    public async Task A_form_holds_from_the_first_token_where_nothing_is_to_be_thought()
    {
        const string Form = "\"response_format\":{\"type\":\"json_object\"}";
        using var qwen = new QwenFolder();
        await using var harness = await qwen.StartAsync("{\"a\": 1}");
        const string Off = "\"chat_template_kwargs\":{\"enable_thinking\":false}";

        var answer = await Json.OfAsync(await harness.PostAsync(Chat, $"{{{Ask},{Form},{Off}}}"));
        (await harness.PostAsync(Chat, $"{{{Ask},{Form},\"separate_reasoning\":false}}")).EnsureSuccessStatusCode();
        (await harness.PostAsync(Chat, $"{{{Ask},{Form}}}")).EnsureSuccessStatusCode();

        Assert.Equal("{\"a\": 1}", answer.Text("choices.0.message.content"));
        Assert.Equal(
            [ConstraintKind.JsonObject, ConstraintKind.JsonObject, ConstraintKind.Thought],
            harness.Prefill.Started.Select(start => Kind(start.Sampling.Constraint).Kind));
    }

    [Fact]
    public async Task A_thought_that_the_prompt_has_opened_is_open_for_the_workers_too()
    {
        await using var harness = await StartAsync(" so.\n</think>{}");

        var answer = await Json.OfAsync(await harness.PostAsync(Chat, """
            {"messages":[{"role":"user","content":"hello"},{"role":"assistant","content":"<think>\nOne"}],
             "continue_final_message":true,"response_format":{"type":"json_object"}}
            """));

        Assert.Equal("{}", answer.Text("choices.0.message.content"));
        Assert.Equal(
            (ConstraintKind.Thought, true), Kind(Assert.Single(harness.Prefill.Started).Sampling.Constraint));
    }

    [Theory]
    [InlineData("", null)]
    [InlineData(",\"thinking_token_budget\":-1", null)]
    [InlineData(",\"thinking_token_budget\":7", 7)]
    [InlineData(",\"thinking_token_budget\":0,\"separate_reasoning\":false", 0)]
    [InlineData(",\"thinking_token_budget\":7,\"response_format\":{\"type\":\"json_object\"}", 7)]
    [InlineData(",\"thinking_token_budget\":7," + Now, 7)]
    public async Task How_long_it_may_think_is_told_to_the_workers(string fields, int? most)
    {
        await using var harness = await StartAsync("<think>\n</think>{}");

        (await harness.PostAsync(Chat, $"{{{Ask}{fields}}}")).EnsureSuccessStatusCode();

        var limit = LimitOf(Assert.Single(harness.Prefill.Started));
        Assert.Equal((most, most is null ? null : false), (limit?.TokensMax, limit?.IsOpen));
        Assert.Equal(fields.Contains(Now, StringComparison.Ordinal) ? "<tool_call>" : null, limit?.Call);
    }

    [Theory]
    [InlineData("7", ReasoningParser.None, "--reasoning-parser")]
    [InlineData("-2", ReasoningParser.Think, "-1")]
    [InlineData("\"low\"", ReasoningParser.Think, "thinking_token_budget")]
    public async Task A_limit_of_thoughts_that_cannot_be_kept_is_refused(
        string value, ReasoningParser parser, string named)
    {
        await using var harness = await StartAsync("It is 2.", parser);

        var answer = await harness.PostAsync(Chat, $"{{{Ask},\"thinking_token_budget\":{value}}}");

        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains(named, await answer.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task An_answer_that_is_made_again_has_the_limit_that_it_had()
    {
        // Another version read none out of the same body: what its client has of the stream must go on as it was.
        await using var harness = await StartAsync("It is 2.");
        var kinds = harness.Silo.Services.GetRequiredService<AnswerKinds>();
        var origin = new AnswerOrigin(
            AnswerKind.Chat, Encoding.UTF8.GetBytes($"{{{Ask},\"thinking_token_budget\":7}}"));
        var request = kinds.Read(origin, new Arrival("r", 1, default, default, origin.Write()));
        var stored = request.Spec with { Sampling = request.Spec.Sampling with { ThoughtLimit = "" } };

        Assert.NotEqual("", kinds.Read(request.Spec, default).Spec.Sampling.ThoughtLimit);
        Assert.Equal("", kinds.Read(stored, default).Spec.Sampling.ThoughtLimit);
    }

    [Fact]
    public async Task A_limit_whose_tag_must_not_come_is_refused()
    {
        await using var harness = await StartAsync("It is 2.");
        var tag = string.Join(',', TestModel.Encode("</think>"));

        var answer = await harness.PostAsync(
            Chat, $"{{{Ask},\"thinking_token_budget\":7,\"min_tokens\":5,\"stop_token_ids\":[{tag}]}}");

        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains("stop_token_ids", await answer.Content.ReadAsStringAsync());
    }

    [Theory]
    [InlineData(ReasoningParser.Think, 1024)]
    [InlineData(ReasoningParser.None, null)] // clients send it to every model
    public async Task The_budget_of_a_message_is_its_limit(ReasoningParser parser, int? most)
    {
        await using var harness = await StartAsync("It is 2.", parser);

        const string Thinking = "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024}";
        (await harness.PostAsync("/v1/messages", $"{{{Ask},\"max_tokens\":2000,{Thinking}}}"))
            .EnsureSuccessStatusCode();

        Assert.Equal(most, LimitOf(Assert.Single(harness.Prefill.Started))?.TokensMax);
    }

    [Fact]
    public async Task An_answer_that_is_continued_has_no_thoughts()
    {
        // The positive control of the test above.
        await using var harness = await StartAsync("<think> so 2.");

        var answer = await Json.OfAsync(await harness.PostAsync(Chat, """
            {"messages":[{"role":"user","content":"hello"},{"role":"assistant","content":"<think>a</think> It"}],
             "continue_final_message":true}
            """));

        Assert.Equal("<think> so 2.", answer.Text("choices.0.message.content"));
    }

    [Fact]
    public async Task A_users_message_that_is_continued_is_no_thought_whatever_it_names()
    {
        await using var harness = await StartAsync(" so 2.");

        var answer = await Json.OfAsync(await harness.PostAsync(Chat, """
            {"messages":[{"role":"user","content":"<think> is"}],"continue_final_message":true}
            """));

        Assert.Equal(" so 2.", answer.Text("choices.0.message.content"));
    }

    [Theory]
    [InlineData(false, "<think>\n a </thin b \n</think>\n\n c <think> ", "a </thin b", "c <think> ")]
    [InlineData(false, "\n<think></think>d", "", "d")]
    [InlineData(false, "<thin", "", "<thin")]
    [InlineData(false, "  e", "", "  e")]
    [InlineData(true, "\nf\n</think>g", "f", "g")]
    [InlineData(true, "h </thin", "h </thin", "")]
    public void Where_the_text_is_cut_changes_nothing(bool inside, string text, string thoughts, string answer)
    {
        for (var size = 1; size <= text.Length; size++)
        {
            var reader = new ReasoningReader(new ReasoningUse(inside, IsShown: true));
            var (read, said) = (new StringBuilder(), new StringBuilder());
            for (var at = 0; at < text.Length; at += size)
            {
                var piece = text[at..Math.Min(text.Length, at + size)];
                var (more, rest) = reader.Append(piece, isLast: at + size >= text.Length);
                read.Append(more);
                said.Append(rest);
            }

            Assert.Equal((size, thoughts, answer), (size, read.ToString(), said.ToString()));
        }
    }

    private static ThoughtLimit? LimitOf(Krewe.Abstractions.Wire.StartSequence start) =>
        start.Sampling.ThoughtLimit.Length == 0 ? null : ThoughtLimit.Parse(start.Sampling.ThoughtLimit);

    private static (ConstraintKind Kind, bool IsOpen) Kind(string constraint)
    {
        var spec = ConstraintSpec.Parse(constraint);
        return (spec.Kind, spec.Thought is { IsOpen: true });
    }

    private static async Task<(string Thoughts, string Content)> StreamAsync(SiloHarness harness, string body)
    {
        var (thoughts, content) = (new StringBuilder(), new StringBuilder());
        using var stream = new EventStream(await harness.PostStreamAsync(Chat, body));
        while (await stream.NextAsync() is { } data && data != "[DONE]")
        {
            using var document = JsonDocument.Parse(data);
            var delta = document.RootElement.GetProperty("choices")[0].GetProperty("delta");
            if (delta.TryGetProperty("reasoning_content", out var thought)) thoughts.Append(thought.GetString());
            if (!delta.TryGetProperty("content", out var text)) continue;
            content.Append(text.GetString());
        }

        return (thoughts.ToString(), content.ToString());
    }

    private static async Task<SiloHarness> StartAsync(string output, ReasoningParser parser = ReasoningParser.Think)
    {
        var harness = await SiloHarness.StartPairAsync(options => options with { ReasoningParser = parser });
        harness.Script = start => SiloHarness.Limited(start, TestModel.Encode(output));
        return harness;
    }
}
