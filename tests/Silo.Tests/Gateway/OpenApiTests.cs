using System.Text.Json;
using System.Text.Json.Nodes;
using Krewe.Silo.Tests.Harness;

namespace Krewe.Silo.Tests.Gateway;

/// <summary>Real answers against the schemas that the server gives for them.</summary>
public sealed class OpenApiTests
{
    [Fact]
    public async Task Answers_are_as_their_schemas_say()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        var document = JsonNode.Parse((await harness.GetJsonAsync("/openapi.json")).GetRawText())!;
        const string Chat = """{"messages":[{"role":"user","content":"hello"}],"max_tokens":4,"logprobs":true}""";

        await DemandAsync("/v1/chat/completions", Chat);
        await DemandAsync("/v1/completions", """{"prompt":"hello","max_tokens":4,"logprobs":2}""");
        foreach (var path in (string[])["/v1/models", "/v1/cluster", "/health"]) await DemandAsync(path, body: null);

        async Task DemandAsync(string path, string? body)
        {
            using var response = body is null
                ? await harness.Client.GetAsync(path)
                : await harness.PostAsync(path, body);
            var answer = JsonNode.Parse(await response.Content.ReadAsStringAsync())!;
            Assert.True(response.IsSuccessStatusCode, answer.ToJsonString());
            var operation = document["paths"]![path]![body is null ? "get" : "post"]!;
            var schema = operation["responses"]!["200"]!["content"]!["application/json"]!["schema"]!;
            Assert.Empty(Mistakes(answer, schema, document, path));

            // The control: the same answer, one field left out and one of another type.
            var first = answer.AsObject().First(field => field.Value is not JsonObject).Key;
            answer[first] = new JsonObject { ["no"] = 1 };
            Assert.NotEmpty(Mistakes(answer, schema, document, path));
        }
    }

    [Fact]
    public async Task Errors_streams_and_what_operators_send_have_schemas_too()
    {
        await using var harness = await SiloHarness.StartAsync();
        var document = JsonNode.Parse((await harness.GetJsonAsync("/openapi.json")).GetRawText())!;

        var chat = document["paths"]!["/v1/chat/completions"]!["post"]!;
        var chunk = Resolve(chat["responses"]!["200"]!["content"]!["text/event-stream"]!["schema"]!, document);
        Assert.NotNull(chunk["properties"]!["choices"]!["items"]!["properties"]!["delta"]);
        var error = Resolve(chat["responses"]!["default"]!["content"]!["application/json"]!["schema"]!, document);
        using var refused = await harness.PostAsync("/v1/chat/completions", "{}");
        Assert.Empty(Mistakes(
            JsonNode.Parse(await refused.Content.ReadAsStringAsync())!, error, document, "error"));
        var act = document["paths"]!["/v1/cluster/workers/{id}/{action}"]!["post"]!;
        var takes = Resolve(act["requestBody"]!["content"]!["application/json"]!["schema"]!, document);
        Assert.NotNull(takes["properties"]!["grace_seconds"]);
        Assert.DoesNotContain(
            document["paths"]!.AsObject().SelectMany(path => path.Value!.AsObject()),
            operation => operation.Key == "head" && operation.Value!["responses"]!["200"]!["content"] is not null);
    }

    private static JsonNode Resolve(JsonNode schema, JsonNode document) => schema is JsonObject one
        && one["$ref"]?.GetValue<string>() is { } reference
            ? reference.Split('/').Skip(1).Aggregate(document, (node, name) => node[name]!)
            : schema;

    /// <summary>Fields and types by the words that the exporter uses; a field that the schema does not have is one.
    /// </summary>
    private static IEnumerable<string> Mistakes(JsonNode? value, JsonNode schema, JsonNode document, string path)
    {
        schema = Resolve(schema, document);
        // True: anything.
        if (schema is not JsonObject rule) yield break;
        string[] types = rule["type"] switch
        {
            JsonArray many => [.. many.Select(type => type!.GetValue<string>())],
            JsonNode one => [one.GetValue<string>()],
            null => [],
        };
        if (types.Length > 0 && !types.Any(type => Is(value, type)))
        {
            yield return $"{path} is {value?.ToJsonString() ?? "null"}, not {string.Join(" or ", types)}";
            yield break;
        }

        foreach (var name in rule["required"]?.AsArray() ?? [])
        {
            if (value is JsonObject whole && !whole.ContainsKey(name!.GetValue<string>()))
                yield return $"{path} has no {name}";
        }

        if (value is JsonObject fields && rule["properties"] is JsonObject known)
        {
            foreach (var (name, field) in fields)
            {
                if (known[name] is not { } inner) yield return $"{path}.{name} is unknown";
                else foreach (var mistake in Mistakes(field, inner, document, $"{path}.{name}")) yield return mistake;
            }
        }

        if (value is not JsonArray items || rule["items"] is not { } item) yield break;
        foreach (var mistake in items.SelectMany((one, i) => Mistakes(one, item, document, $"{path}[{i}]")))
            yield return mistake;
    }

    private static bool Is(JsonNode? value, string type) => type switch
    {
        "null" => value is null,
        "integer" or "number" => value?.GetValueKind() == JsonValueKind.Number,
        "boolean" => value?.GetValueKind() is JsonValueKind.True or JsonValueKind.False,
        "string" => value?.GetValueKind() == JsonValueKind.String,
        "array" => value is JsonArray,
        _ => value is JsonObject,
    };
}
