using System.ClientModel;
using System.Net;
using System.Text;
using System.Text.Json;
using Krewe.EndToEnd.Tests.Harness;
using OpenAI.Chat;
using Xunit.Abstractions;

namespace Krewe.EndToEnd.Tests;

/// <summary>What an application developer does first: the official .NET SDK against <c>krewe serve</c>.</summary>
public sealed class OpenAiSdkTests(TalkativeCluster fixture, ITestOutputHelper output)
    : ClusterTest(fixture, output), IClassFixture<TalkativeCluster>
{
    private static readonly ChatCompletionOptions Greedy = new() { Temperature = 0, MaxOutputTokenCount = 64 };

    private static readonly ChatMessage[] Counting = [new UserChatMessage("Count from 7 to 12.")];

    /// <summary>Within five seconds where the machine is to be had alone.</summary>
    [Fact]
    public void A_built_krewe_answers_its_first_request_within_seconds()
    {
        var isLong = Environment.GetEnvironmentVariable("KREWE_LONG_TESTS") == "1";
        var took = $"It took {Cluster.StartTime.TotalSeconds:0.00} s.";
        Output.WriteLine(took);
        Assert.True(Cluster.StartTime < TimeSpan.FromSeconds(isLong ? 5 : 20), took);
    }

    [Fact]
    public async Task Chat_answers_and_counts_its_tokens()
    {
        var answer = (await Chat().CompleteChatAsync(Counting, Greedy)).Value;

        Assert.Equal("7, 8, 9, 10, 11, 12.", answer.Content[0].Text);
        Assert.Equal(ChatFinishReason.Stop, answer.FinishReason);
        Assert.Equal("tiny", answer.Model);
        Assert.StartsWith("chatcmpl-", answer.Id, StringComparison.Ordinal);
        Assert.Equal(answer.Usage.InputTokenCount + answer.Usage.OutputTokenCount, answer.Usage.TotalTokenCount);
    }

    [Fact]
    public async Task A_streamed_chat_gives_the_same_text_in_pieces()
    {
        var text = new StringBuilder();
        var pieces = 0;
        ChatFinishReason? finish = null;
        await foreach (var update in Chat().CompleteChatStreamingAsync(Counting, Greedy))
        {
            foreach (var part in update.ContentUpdate)
            {
                text.Append(part.Text);
                pieces++;
            }

            finish ??= update.FinishReason;
        }

        Assert.Equal("7, 8, 9, 10, 11, 12.", text.ToString());
        Assert.Equal(ChatFinishReason.Stop, finish);
        Assert.True(pieces > 1, $"{pieces} pieces");
    }

    [Fact]
    public async Task The_answer_was_prefilled_by_one_process_and_decoded_by_another()
    {
        var answer = (await Chat().CompleteChatAsync(Counting, Greedy)).Value;

        using var life = JsonDocument.Parse(await Cluster.Http.GetStringAsync($"/v1/requests/{answer.Id}"));
        var plan = life.RootElement.GetProperty("plan");
        Assert.StartsWith("prefill-0", plan.GetProperty("prefill_worker").GetString(), StringComparison.Ordinal);
        Assert.StartsWith("decode-0", plan.GetProperty("decode_worker").GetString(), StringComparison.Ordinal);
        Assert.Equal("finished", life.RootElement.GetProperty("outcome").GetString());
        var steps = life.RootElement.GetProperty("steps").EnumerateArray()
            .Select(step => step.GetProperty("step").GetInt32()).Distinct().Order().ToArray();
        Assert.Equal([1, 2, 3, 4, 5, 6, 7, 8, 9], steps);
        var workers = (await Cluster.StateAsync()).Workers;
        Assert.Equal(2, workers.Select(worker => worker.Pid).Distinct().Count());
    }

    [Fact]
    public async Task Completions_answer_through_the_SDKs_pipeline()
    {
        var request = """{"model":"tiny","prompt":"<|begin|><|user|>Hello!<|end|><|assistant|>","max_tokens":8}""";
        using var content = BinaryContent.Create(BinaryData.FromString(request));
        using var message = Cluster.Sdk().Pipeline.CreateMessage();
        message.Request.Method = "POST";
        message.Request.Uri = new Uri(Cluster.Address, "/v1/completions");
        message.Request.Headers.Set("Content-Type", "application/json");
        message.Request.Content = content;

        await Cluster.Sdk().Pipeline.SendAsync(message);

        Assert.Equal(200, message.Response!.Status);
        using var answer = JsonDocument.Parse(message.Response.Content);
        Assert.Equal("text_completion", answer.RootElement.GetProperty("object").GetString());
    }

    [Fact]
    public async Task A_chat_with_a_schema_is_valid_against_it()
    {
        var options = new ChatCompletionOptions
        {
            MaxOutputTokenCount = 200,
            ResponseFormat = ChatResponseFormat.CreateJsonSchemaFormat(
                "person", BinaryData.FromString("""
                {"type":"object","properties":{"name":{"type":"string","maxLength":12},
                "age":{"type":"integer","minimum":0,"maximum":120}},"required":["name","age"],
                "additionalProperties":false}
                """),
                jsonSchemaIsStrict: true),
        };

        var answer = (await Chat().CompleteChatAsync(Counting, options)).Value;

        using var person = JsonDocument.Parse(answer.Content[0].Text);
        Assert.Equal(ChatFinishReason.Stop, answer.FinishReason);
        Assert.InRange(person.RootElement.GetProperty("age").GetInt32(), 0, 120);
        Assert.InRange(person.RootElement.GetProperty("name").GetString()!.Length, 0, 24);
    }

    [Fact]
    public async Task A_tool_is_called_and_its_result_goes_on()
    {
        var tool = ChatTool.CreateFunctionTool(
            "weather", "Tells the weather.", BinaryData.FromString("""
            {"type":"object","properties":{"city":{"enum":["Paris","Oslo"]}},"required":["city"],
            "additionalProperties":false}
            """));
        var options = new ChatCompletionOptions
        {
            MaxOutputTokenCount = 200,
            Tools = { tool },
            ToolChoice = ChatToolChoice.CreateRequiredChoice(),
            AllowParallelToolCalls = false,
        };

        var answer = (await Chat().CompleteChatAsync(Counting, options)).Value;

        Assert.Equal(ChatFinishReason.ToolCalls, answer.FinishReason);
        var call = Assert.Single(answer.ToolCalls);
        Assert.Equal("weather", call.FunctionName);
        using var arguments = JsonDocument.Parse(call.FunctionArguments);
        Assert.Contains(arguments.RootElement.GetProperty("city").GetString(), (string[])["Paris", "Oslo"]);
        options.ToolChoice = ChatToolChoice.CreateAutoChoice();
        ChatMessage[] history =
            [.. Counting, new AssistantChatMessage(answer), new ToolChatMessage(call.Id, "sunny")];
        Assert.NotNull((await Chat().CompleteChatAsync(history, options)).Value);
    }

    [Fact]
    public async Task A_streamed_call_comes_in_pieces_that_make_the_whole()
    {
        var options = new ChatCompletionOptions
        {
            MaxOutputTokenCount = 200,
            Temperature = 0,
            Tools = { ChatTool.CreateFunctionTool("note", "Notes.", BinaryData.FromString("""
                {"type":"object","properties":{"text":{"type":"string","minLength":8,"maxLength":16}},
                "required":["text"],"additionalProperties":false}
                """)) },
            ToolChoice = ChatToolChoice.CreateFunctionChoice("note"),
        };
        var whole = (await Chat().CompleteChatAsync(Counting, options)).Value;
        var arguments = new StringBuilder();
        string? id = null, name = null;

        await foreach (var update in Chat().CompleteChatStreamingAsync(Counting, options))
        {
            foreach (var call in update.ToolCallUpdates)
            {
                (id, name) = (call.ToolCallId ?? id, call.FunctionName ?? name);
                arguments.Append(call.FunctionArgumentsUpdate);
            }
        }

        Assert.Equal("note", name);
        Assert.StartsWith("call_", id, StringComparison.Ordinal);
        Assert.Equal(whole.ToolCalls[0].FunctionArguments.ToString(), arguments.ToString());
        Assert.Equal(ChatFinishReason.Stop, whole.FinishReason);
    }

    [Fact]
    public async Task Models_are_listed_and_described()
    {
        var models = Cluster.Sdk().GetOpenAIModelClient();

        Assert.Equal(["tiny"], (await models.GetModelsAsync()).Value.Select(model => model.Id));
        Assert.Equal("tiny", (await models.GetModelAsync("tiny")).Value.Id);
    }

    [Fact]
    public async Task A_wrong_model_is_a_typed_error_that_names_the_right_one()
    {
        var failure = await Assert.ThrowsAsync<ClientResultException>(
            () => Cluster.Sdk().GetChatClient("gpt-9").CompleteChatAsync(Counting, Greedy));

        Assert.Equal(404, failure.Status);
        Assert.Contains("model_not_found", failure.Message);
        Assert.Contains("'gpt-9'", failure.Message);
        Assert.Contains("'tiny'", failure.Message);
    }

    [Fact]
    public async Task A_prompt_that_is_too_long_is_a_typed_error_with_the_arithmetic()
    {
        var essay = string.Concat(Enumerable.Repeat("one two three ", 2000));

        var failure = await Assert.ThrowsAsync<ClientResultException>(
            () => Chat().CompleteChatAsync([new UserChatMessage(essay)], Greedy));

        Assert.Equal(400, failure.Status);
        Assert.Contains("context_length_exceeded", failure.Message);
        Assert.Contains("2048", failure.Message);
    }

    [Theory]
    [InlineData("""{"model":"tiny","messages":[{"role":"user","content":"hi"}]""", "invalid_json", "")]
    [InlineData("""{"model":"tiny","messages":"hi"}""", "invalid_value", "messages")]
    [InlineData("""{"model":"tiny","messages":[{"role":"user","content":7}]}""", "invalid_value", "messages[0]")]
    [InlineData("""{"model":"tiny","messages":[]}""", "invalid_value", "messages")]
    [InlineData(
        """{"model":"tiny","messages":[{"role":"user","content":"hi"}],"temperature":"warm"}""",
        "invalid_value", "temperature")]
    [InlineData("""{"model":7,"messages":[{"role":"user","content":"hi"}]}""", "invalid_value", "model")]
    [InlineData("""{"model":"tiny","messages":[{"role":"user","content":"hi"}],"n":129}""", "invalid_value", "n")]
    public async Task A_bad_body_is_a_typed_error_that_names_the_field(string body, string code, string field)
    {
        using var content = BinaryContent.Create(BinaryData.FromString(body));

        var failure = await Assert.ThrowsAsync<ClientResultException>(() => Chat().CompleteChatAsync(content));

        Assert.Equal(400, failure.Status);
        Assert.Contains(code, failure.Message);
        Assert.Contains(field, failure.Message);
    }

    [Fact]
    public async Task An_unknown_path_is_an_error_object_too()
    {
        using var answer = await Cluster.Http.GetAsync("/v1/nonsense");

        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        using var json = JsonDocument.Parse(await answer.Content.ReadAsStringAsync());
        Assert.False(string.IsNullOrEmpty(json.RootElement.GetProperty("error").GetProperty("message").GetString()));
    }

    private ChatClient Chat() => Cluster.Sdk().GetChatClient("tiny");
}
