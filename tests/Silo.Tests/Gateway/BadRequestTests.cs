using System.Net;
using Krewe.Silo.Tests.Harness;

namespace Krewe.Silo.Tests.Gateway;

/// <summary>
/// Every mistake a client can make gets an error object that names the field and says what to change.
/// </summary>
public sealed class BadRequestTests(BadRequestTests.Cluster cluster) : IClassFixture<BadRequestTests.Cluster>
{
    private const string Chat = "/v1/chat/completions";
    private const string Text = "/v1/completions";

    /// <summary>Fields, the field named in the error, the code, and words that the message must have.</summary>
    public static TheoryData<string, string?, string, string> WrongFields => new()
    {
        { "\"model\":\"other\"", "model", "model_not_found", "GET /v1/models" },
        { "\"model\":5", "model", "invalid_value", "a string" },
        { "\"temperature\":\"hot\"", "temperature", "invalid_value", "a number from 0 to 2" },
        { "\"temperature\":-0.1", "temperature", "invalid_value", "-0.1" },
        { "\"temperature\":2.01", "temperature", "invalid_value", "2" },
        { "\"temperature\":1e999", "temperature", "invalid_value", "a number" },
        { "\"top_p\":0", "top_p", "invalid_value", "above 0" },
        { "\"top_p\":1.5", "top_p", "invalid_value", "1" },
        { "\"top_k\":-2", "top_k", "invalid_value", "at least -1" },
        { "\"min_p\":2", "min_p", "invalid_value", "1" },
        { "\"max_tokens\":0", "max_tokens", "invalid_value", "at least 1" },
        { "\"max_tokens\":1.5", "max_tokens", "invalid_value", "an integer" },
        { "\"max_tokens\":\"7\"", "max_tokens", "invalid_value", "a string" },
        { "\"max_completion_tokens\":-3", "max_completion_tokens", "invalid_value", "at least 1" },
        { "\"min_tokens\":9,\"max_tokens\":8", "min_tokens", "invalid_value", "at most" },
        { "\"seed\":9223372036854775808", "seed", "invalid_value", "2^63" },
        { "\"seed\":\"x\"", "seed", "invalid_value", "an integer" },
        { "\"presence_penalty\":3", "presence_penalty", "invalid_value", "from -2 to 2" },
        { "\"frequency_penalty\":-2.5", "frequency_penalty", "invalid_value", "from -2 to 2" },
        { "\"repetition_penalty\":0", "repetition_penalty", "invalid_value", "above 0" },
        { "\"logit_bias\":{\"1024\":1}", "logit_bias", "invalid_value", "Vocabulary size: 1024" },
        { "\"logit_bias\":{\"x\":1}", "logit_bias", "invalid_value", "x" },
        { "\"logit_bias\":{\"5\":101}", "logit_bias.5", "invalid_value", "100" },
        { "\"logit_bias\":[1]", "logit_bias", "invalid_value", "an object" },
        { "\"stop\":\"\"", "stop", "invalid_value", "not empty" },
        { "\"stop\":[\"a\",5]", "stop[1]", "invalid_value", "5" },
        { "\"stop\":{}", "stop", "invalid_value", "array of strings" },
        {
            "\"stop\":[" + string.Join(',', Enumerable.Repeat("\"x\"", 17)) + "]",
            "stop", "invalid_value", "at most 16"
        },
        { "\"stop_token_ids\":[1024]", "stop_token_ids[0]", "invalid_value", "out of vocabulary" },
        { "\"stop_token_ids\":[-1]", "stop_token_ids[0]", "invalid_value", "greater than or equal to 0" },
        { "\"stream\":\"yes\"", "stream", "invalid_value", "true or false" },
        { "\"stream_options\":{}", "stream_options", "invalid_value", "stream=True" },
        { "\"stream\":true,\"stream_options\":5", "stream_options", "invalid_value", "an object" },
        { "\"n\":129", "n", "invalid_value", "n must be at most 128" },
        { "\"n\":0", "n", "invalid_value", "at least 1" },
        { "\"n\":3,\"best_of\":2", "best_of", "invalid_value", "at least 'n', which is 3" },
        { "\"best_of\":2,\"stream\":true", "best_of", "invalid_value", "cannot be streamed" },
        { "\"n\":\"1\"", "n", "invalid_value", "integer" },
        { "\"prompt_logprobs\":21", "prompt_logprobs", "invalid_value", "max allowed: 20" },
        { "\"prompt_logprobs\":1,\"stream\":true", "prompt_logprobs", "invalid_value", "stream=True" },
        { "\"include_stop_str_in_output\":1", "include_stop_str_in_output", "invalid_value", "true or false" },
        { "\"truncate_prompt_tokens\":0", "truncate_prompt_tokens", "invalid_value", "at least 1" },
        { "\"truncation_side\":\"up\"", "truncation_side", "invalid_value", "left" },
        { "\"bad_words\":[\"x\"]", "bad_words", "unsupported_parameter", "yet" },
        { "\"response_format\":{\"type\":\"xml\"}", "response_format.type", "unsupported_parameter", "json_schema" },
        { "\"structured_outputs\":{}", "structured_outputs", "invalid_value", "exactly one of" },
        { "\"cache_salt\":\"\"", "cache_salt", "invalid_value", "not empty" },
        { "\"priority\":1.5", "priority", "invalid_value", "an integer" },
    };

    public static TheoryData<string, string?, string, string> WrongChats => new()
    {
        { "{}", "messages", "invalid_value", "missing" },
        { "{\"messages\":null}", "messages", "invalid_value", "missing" },
        { "{\"messages\":\"hi\"}", "messages", "invalid_value", "array" },
        { "{\"messages\":[]}", "messages", "invalid_value", "at least one" },
        { "{\"messages\":[5]}", "messages[0]", "invalid_value", "an object" },
        { "{\"messages\":[{\"content\":\"x\"}]}", "messages[0].role", "invalid_value", "missing" },
        { "{\"messages\":[{\"role\":\"\",\"content\":\"x\"}]}", "messages[0].role", "invalid_value", "role" },
        { "{\"messages\":[{\"role\":\"user\"}]}", "messages[0].content", "invalid_value", "missing" },
        { "{\"messages\":[{\"role\":\"user\",\"content\":5}]}", "messages[0].content", "invalid_value", "text parts" },
        {
            "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}]}",
            "messages[0].content[0].type", "unsupported_parameter", "text"
        },
        {
            "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"tools\":[{}]}",
            "tools[0].type", "invalid_value", "missing"
        },
        {
            "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"top_logprobs\":2}",
            "top_logprobs", "invalid_value", "when using `top_logprobs`, `logprobs` must be set to true."
        },
        {
            "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"logprobs\":true,\"top_logprobs\":21}",
            "top_logprobs", "invalid_value",
            "Requested sample logprobs of 21, which is greater than max allowed: 20"
        },
        {
            "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"echo\":true}",
            "echo", "unsupported_parameter", "yet"
        },
        {
            "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"tool_choice\":\"required\"}",
            "tool_choice", "invalid_value", "'tools' must be set"
        },
        {
            "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"continue_final_message\":true,"
            + "\"add_generation_prompt\":true}",
            "continue_final_message", "invalid_value", "exclude each other"
        },
        {
            "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"chat_template_kwargs\":5}",
            "chat_template_kwargs", "invalid_value", "an object"
        },
        { "{\"messages\":[{\"role\":\"user\",\"content\":\"\\ud800\"}]}", null, "invalid_json", "Unicode" },
    };

    public static TheoryData<string, string, string, string> WrongPrompts => new()
    {
        { "null", "prompt", "invalid_value", "non-empty" },
        { "\"\"", "prompt", "invalid_value", "non-empty" },
        { "[]", "prompt", "invalid_value", "non-empty" },
        { "[[]]", "prompt[0]", "invalid_value", "non-empty" },
        { "{}", "prompt", "invalid_value", "token ids" },
        { "[true]", "prompt[0]", "invalid_value", "token ids" },
        { "[1,\"x\"]", "prompt[1]", "invalid_value", "an integer" },
        { "[1,1024]", "prompt[1]", "invalid_value", "1024 is out of vocabulary" },
        { "[-1]", "prompt[0]", "invalid_value", "greater than or equal to 0" },
        { "[\"a\",5]", "prompt[1]", "invalid_value", "token ids" },
    };

    [Theory]
    [MemberData(nameof(WrongFields))]
    public async Task A_wrong_field_is_named(string fields, string? param, string code, string words)
    {
        await DemandErrorAsync(Text, "{\"prompt\":[5]," + fields + "}", param, code, words);
        await DemandErrorAsync(
            Chat, "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]," + fields + "}", param, code, words);
    }

    [Theory]
    [MemberData(nameof(WrongChats))]
    public Task A_wrong_chat_is_named(string body, string? param, string code, string words) =>
        DemandErrorAsync(Chat, body, param, code, words);

    [Theory]
    [MemberData(nameof(WrongPrompts))]
    public Task A_wrong_prompt_is_named(string prompt, string param, string code, string words) =>
        DemandErrorAsync(Text, $$"""{"prompt":{{prompt}}}""", param, code, words);

    [Theory]
    [InlineData("", "empty")]
    [InlineData("{", "JSON")]
    [InlineData("{\"prompt\":[5],}", "JSON")]
    [InlineData("[]", "object")]
    [InlineData("null", "object")]
    [InlineData("{\"prompt\":[5]} x", "JSON")]
    public Task A_body_that_is_no_json_object_says_so(string body, string words) =>
        DemandErrorAsync(Text, body, null, "invalid_json", words);

    [Fact]
    public Task Json_that_is_nested_too_deep_is_refused() =>
        DemandErrorAsync(Text, new string('[', 5000), null, "invalid_json", "depth");

    [Fact]
    public async Task Bytes_that_are_not_utf8_are_refused()
    {
        var content = new ByteArrayContent([.. "{\"prompt\":\""u8, 0xC3, 0x28, .. "\"}"u8]);
        content.Headers.ContentType = new("application/json");

        using var response = await cluster.Harness.Client.PostAsync(Text, content);

        await DemandErrorAsync(response, HttpStatusCode.BadRequest, null, "invalid_json", "UTF-8");
    }

    [Fact]
    public async Task Another_content_type_is_refused()
    {
        using var response = await cluster.Harness.Client.PostAsync(Text, new StringContent("prompt=x"));

        await DemandErrorAsync(response, HttpStatusCode.BadRequest, null, "unsupported_media_type", "application/json");
    }

    [Fact]
    public async Task A_body_over_the_limit_is_refused()
    {
        var body = "{\"prompt\":\"" + new string('x', Cluster.MaxRequestBytes) + "\"}";

        using var response = await cluster.Harness.PostAsync(Text, body);

        await DemandErrorAsync(
            response, HttpStatusCode.RequestEntityTooLarge, null, "request_too_large", "shorter");
    }

    [Fact]
    public async Task A_prompt_that_leaves_no_room_says_the_arithmetic()
    {
        var prompt = string.Join(',', Enumerable.Repeat(5, 2048));

        using var response = await cluster.Harness.PostAsync(Text, $$"""{"prompt":[{{prompt}}],"max_tokens":10}""");

        await DemandErrorAsync(
            response, HttpStatusCode.BadRequest, "prompt", "context_length_exceeded",
            "maximum context length is 2048 tokens. However, you requested 10 output tokens and your prompt contains "
            + "2048 input tokens, for a total of 2058 tokens");
    }

    [Fact]
    public async Task An_unknown_path_and_a_wrong_method_get_error_objects()
    {
        using var unknown = await cluster.Harness.Client.GetAsync("/v1/nothing");
        using var wrong = await cluster.Harness.Client.GetAsync(Chat);
        using var model = await cluster.Harness.Client.GetAsync("/v1/models/some/other");

        await DemandErrorAsync(unknown, HttpStatusCode.NotFound, null, "not_found", "/v1/nothing");
        await DemandErrorAsync(wrong, HttpStatusCode.MethodNotAllowed, null, "method_not_allowed", "POST");
        await DemandErrorAsync(model, HttpStatusCode.NotFound, "model", "model_not_found", "some/other");
    }

    private async Task DemandErrorAsync(string path, string body, string? param, string code, string words)
    {
        using var response = await cluster.Harness.PostAsync(path, body);
        var status = code == "model_not_found" ? HttpStatusCode.NotFound : HttpStatusCode.BadRequest;
        await DemandErrorAsync(response, status, param, code, words);
    }

    private async Task DemandErrorAsync(
        HttpResponseMessage response, HttpStatusCode status, string? param, string code, string words)
    {
        var error = (await Json.OfAsync(response)).GetProperty("error");
        Assert.Equal(status, response.StatusCode);
        Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
        Assert.NotEmpty(response.Headers.GetValues("x-request-id").Single());
        Assert.Equal(param, error.Text("param"));
        Assert.Equal(code, error.Text("code"));
        Assert.Equal("invalid_request_error", error.Text("type"));
        Assert.Contains(words.Split('|'), word => error.Text("message")!.Contains(word, StringComparison.Ordinal));
        Assert.Equal(0, cluster.Harness.Streams.Count);
        Assert.Empty(cluster.Harness.Prefill.Started);
    }

    public sealed class Cluster : IAsyncLifetime
    {
        public const int MaxRequestBytes = 64 << 10;

        internal SiloHarness Harness { get; private set; } = null!;

        public async Task InitializeAsync() => Harness =
            await SiloHarness.StartPairAsync(options => options with { MaxRequestBytes = MaxRequestBytes });

        public async Task DisposeAsync() => await Harness.DisposeAsync();
    }
}
