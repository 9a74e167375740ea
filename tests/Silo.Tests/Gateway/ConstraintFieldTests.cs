using System.Net;
using Krewe.Silo.Tests.Harness;

namespace Krewe.Silo.Tests.Gateway;

/// <summary>The fields that say what an output must look like: what workers are sent, and what is refused.</summary>
public sealed class ConstraintFieldTests
{
    private const string Chat = "/v1/chat/completions";
    private const string Text = "/v1/completions";
    private const string Hello = "\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]";
    private const string Five = "\"prompt\":[5]";
    private const string Schema = """{"type":"object","properties":{"a":{"type":"integer"}}}""";

    public static TheoryData<string, string, string> Taken => new()
    {
        { Chat, Body(Hello, "\"response_format\":{\"type\":\"json_object\"}"), "JsonObject" },
        {
            Chat,
            Body(Hello, "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":" + Schema + "}}"),
            "JsonSchema"
        },
        { Text, Body(Five, "\"structured_outputs\":{\"json\":" + Schema + "}"), "JsonSchema" },
        { Text, Body(Five, "\"structured_outputs\":{\"json\":\"{}\"}"), "JsonSchema" },
        { Text, Body(Five, "\"structured_outputs\":{\"regex\":\"a+b\",\"json\":null}"), "Regex" },
        { Text, Body(Five, "\"structured_outputs\":{\"choice\":[\"yes\",\"no\"]}"), "Choice" },
        { Text, Body(Five, "\"structured_outputs\":{\"grammar\":\"root ::= [a]\"}"), "Grammar" },
        { Text, Body(Five, "\"structured_outputs\":{\"json_object\":true}"), "JsonObject" },
        { Text, Body(Five, "\"guided_regex\":\"[0-9]+\""), "Regex" },
        { Text, Body(Five, "\"guided_choice\":[\"a\"]"), "Choice" },
        { Text, Body(Five, "\"guided_json\":" + Schema), "JsonSchema" },
        { Text, Body(Five, "\"guided_grammar\":\"root: [a]\""), "Grammar" },
        { Chat, Body(Hello, "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]"), "Tools" },
    };

    public static TheoryData<string, string, string> Refused => new()
    {
        { "\"response_format\":{\"type\":\"json_schema\"}", "response_format.json_schema", "must be provided" },
        { "\"response_format\":5", "response_format", "an object" },
        {
            "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":{\"type\":\"text\"}}}",
            "response_format.json_schema.schema.type", "must be one of"
        },
        { "\"structured_outputs\":{\"regex\":\"a\",\"choice\":[\"a\"]}", "structured_outputs", "exactly one" },
        { "\"structured_outputs\":{\"regex\":\"(a\"}", "structured_outputs.regex", "without its ')'" },
        { "\"structured_outputs\":{\"regex\":\"((a{999}){999}){999}\"}", "structured_outputs.regex", "states" },
        { "\"structured_outputs\":{\"grammar\":\"root ::= x\"}", "structured_outputs.grammar", "no rule 'x'" },
        { "\"structured_outputs\":{\"choice\":[]}", "structured_outputs.choice", "1 to 1024" },
        { "\"structured_outputs\":{\"choice\":[5]}", "structured_outputs.choice[0]", "a string" },
        { "\"structured_outputs\":{\"structural_tag\":\"x\"}", "structured_outputs.structural_tag", "not supported" },
        { "\"structured_outputs\":{\"json\":\"{\"}", "structured_outputs.json", "a string of JSON" },
        { "\"guided_regex\":\"a\",\"response_format\":{\"type\":\"json_object\"}", "guided_regex", "send one of them" },
        { "\"guided_regex\":\"a\",\"min_tokens\":2", "min_tokens", "its form says where it ends" },
        { "\"guided_regex\":\"a\",\"ignore_eos\":true", "ignore_eos", "its form says where it ends" },
        { "\"guided_regex\":\"a\",\"stop_token_ids\":[65]", "stop_token_ids[0]", "a token of text" },
        { "\"guided_whitespace_pattern\":\" \"", "guided_whitespace_pattern", "not supported" },
    };

    [Theory]
    [MemberData(nameof(Taken))]
    public async Task A_form_is_sent_to_both_workers(string path, string body, string kind)
    {
        await using var harness = await SiloHarness.StartPairAsync();

        using var response = await harness.PostAsync(path, body);

        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
        var constraint = harness.Prefill.Started.Single().Sampling.Constraint;
        Assert.Contains($"\"kind\":\"{kind}\"", constraint, StringComparison.Ordinal);
        Assert.Equal(constraint, harness.Decode.Started.Single().Sampling.Constraint);
    }

    [Fact]
    public async Task Without_a_form_nothing_is_sent()
    {
        await using var harness = await SiloHarness.StartPairAsync();

        using var response = await harness.PostAsync(
            Text, """{"prompt":[5],"response_format":{"type":"text"},"structured_outputs":null,"guided_json":null}""");

        Assert.True(response.IsSuccessStatusCode);
        Assert.Equal("", harness.Prefill.Started.Single().Sampling.Constraint);
    }

    [Theory]
    [MemberData(nameof(Refused))]
    public async Task A_form_that_cannot_be_kept_is_refused_by_name(string field, string parameter, string words)
    {
        await using var harness = await SiloHarness.StartPairAsync();

        using var response = await harness.PostAsync(Text, $"{{\"prompt\":[5],{field}}}");

        var error = await Json.OfAsync(response);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal(parameter, error.Text("error.param"));
        Assert.Contains(words, error.Text("error.message"), StringComparison.Ordinal);
        Assert.Empty(harness.Prefill.Started);
    }

    private static string Body(params string[] fields) => $"{{{string.Join(',', fields)}}}";
}
