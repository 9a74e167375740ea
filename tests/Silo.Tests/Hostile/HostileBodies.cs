using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Krewe.Silo.Tests.Hostile;

/// <summary>Bodies that nobody should send: one integer makes the same ones again.</summary>
internal sealed class HostileBodies(int seed)
{
    private static readonly string[] Fields =
    [
        "model", "messages", "prompt", "max_tokens", "max_completion_tokens", "n", "best_of", "temperature", "top_p",
        "top_k", "min_p", "seed", "stop", "stream", "stream_options", "logprobs", "top_logprobs", "prompt_logprobs",
        "echo", "logit_bias", "presence_penalty", "frequency_penalty", "repetition_penalty", "min_tokens",
        "stop_token_ids", "ignore_eos", "response_format", "tools", "tool_choice", "chat_template_kwargs", "priority",
        "structured_outputs", "guided_json",
        "guided_regex", "guided_choice", "guided_grammar", "parallel_tool_calls", "functions", "output_format",
        "cache_salt", "truncate_prompt_tokens", "include_stop_str_in_output", "return_token_ids", "input",
        "instructions", "max_output_tokens", "text", "include", "reasoning", "reasoning_effort", "system",
        "stop_sequences", "tokens", "add_special_tokens", "continue_final_message", "skip_special_tokens",
    ];

    private static readonly string[] Values =
    [
        "null", "true", "false", "0", "-1", "1", "1.5", "1e400", "-1e400", "99999999999999999999999999", "-0.0",
        "1e-400", "9223372036854775807", "-9223372036854775808", "2147483648", "\"\"", "\"x\"", "\"\\u0000\"",
        "\"\\ud800\"", "\"\\udc00\\ud800\"", "[]", "[[]]", "[null]", "[1]", "[-1]", "[1e9]", "[\"\"]", "[\"a\",1]",
        "{}", "{\"\":null}", "{\"a\":{\"a\":{}}}", "{\"type\":\"json_schema\"}", "{\"type\":5}", "{\"1\":1e400}",
        "[{\"role\":5}]", "[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]", "[{}]", "[{\"role\":\"user\"}]",
        "{\"include_usage\":\"yes\"}", "{\"messages\":1}",
    ];

    private static readonly string[] Keywords =
    [
        "type", "enum", "const", "properties", "required", "additionalProperties", "items", "prefixItems", "minItems",
        "maxItems", "minimum", "maximum", "multipleOf", "pattern", "format", "anyOf", "oneOf", "allOf", "$ref", "not",
    ];

    private static readonly string[] Sound =
    [
        """{"messages":[{"role":"user","content":"hello"}],"max_tokens":5}""",
        """{"prompt":[5,6,7],"max_tokens":5,"n":2,"logprobs":2}""",
        """{"prompt":["a","b"],"max_tokens":3,"stop":["x","yy"],"stream":true}""",
        """{"input":"hello","max_output_tokens":5,"instructions":"be kind"}""",
        """{"system":"s","messages":[{"role":"user","content":[{"type":"text","text":"x"}]}],"max_tokens":5}""",
    ];

    /// <summary>Expressions that take other engines exponential time, or any engine much room.</summary>
    private static readonly string[] Regexes =
    [
        "(a+)+b", "(a|a)*b", "(a|aa)+$", "(x+x+)+y", "((a{500}){500}){500}", "(a?){3000}a{3000}", "(a|b)*a(a|b){25}",
        "(.*){30}(.*a){40}", "((((){999}){999}){999}){999}", @"[^\x00-\u{10FFFF}]", "(?=a)*", @"(a)\1{9999}",
        "a{99999999999}", @"\p{L}{1,2000}", @"[\u0100-\uffff]{1,500}x", "(((((((((((a*)*)*)*)*)*)*)*)*)*)*", "^$^$^$",
        "|||||", "(", "[", @"\",
    ];

    private static readonly string[] Grammars =
    [
        "root ::= root", "root ::= root \"a\" | \"a\"", "a ::= b\nb ::= a", "root ::= [a-z]{9999}{9999}",
        "root ::= (\"a\"?){9999}", "start: /((a+)+)+b/", "root ::= \"a\" root \"a\" | root2", "root", "::=", "%",
        "root ::= a a\na ::= b b\nb ::= c c\nc ::= d d\nd ::= \"x\"?",
    ];

    private readonly Random _random = new(seed);

    public byte[] Next() => _random.Next(9) switch
    {
        7 => Encoding.UTF8.GetBytes(Constrained()),
        8 => Encoding.UTF8.GetBytes(WithSchema()),
        0 => Mutate(Encoding.UTF8.GetBytes(Pick(Sound))),
        1 => Encoding.UTF8.GetBytes(WithWrongFields()),
        2 => Encoding.UTF8.GetBytes(Deep()),
        3 => Random(_random.Next(200)),
        4 => [.. "{\"prompt\":\""u8, .. Random(20), .. "\"}"u8],
        5 => Encoding.UTF8.GetBytes(Many()),
        _ => Encoding.UTF8.GetBytes(Pick(Sound))[.._random.Next(20)],
    };

    private byte[] Mutate(byte[] bytes)
    {
        var mutated = bytes.ToList();
        for (var edits = _random.Next(1, 6); edits > 0; edits--)
        {
            var at = _random.Next(mutated.Count);
            switch (_random.Next(3))
            {
                case 0: mutated[at] = (byte)_random.Next(256); break;
                case 1 when mutated.Count > 1: mutated.RemoveAt(at); break;
                default: mutated.Insert(at, (byte)"{}[]\",:0123456789eE+-.\\unl"[_random.Next(26)]); break;
            }
        }

        return [.. mutated];
    }

    /// <summary>A sound body with fields of a wrong kind behind it; the later one of a name counts.</summary>
    private string WithWrongFields()
    {
        var body = new StringBuilder(Pick(Sound)[..^1]);
        for (var fields = _random.Next(1, 4); fields > 0; fields--)
            body.Append(CultureInfo.InvariantCulture, $",\"{Pick(Fields)}\":{Pick(Values)}");
        return body.Append('}').ToString();
    }

    private string Deep()
    {
        var depth = _random.Next(1, 3000);
        var (open, close) = _random.Next(2) == 0 ? ("[", "]") : ("{\"a\":", "}");
        var closes = _random.Next(2) == 0 ? depth : _random.Next(depth);
        var opened = string.Concat(Enumerable.Repeat(open, depth));
        var closed = string.Concat(Enumerable.Repeat(close, closes));
        return $"{{\"prompt\":[5],\"{Pick(Fields)}\":{opened}1{closed}}}";
    }

    /// <summary>A form that is a bomb, or nonsense.</summary>
    private string Constrained() => _random.Next(4) switch
    {
        0 => $"{{\"prompt\":[5],\"structured_outputs\":{{\"regex\":{Quote(Pick(Regexes))}}}}}",
        1 => $"{{\"prompt\":[5],\"structured_outputs\":{{\"grammar\":{Quote(Pick(Grammars))}}}}}",
        2 => $"{{\"prompt\":[5],\"guided_choice\":[{List("\"x\"", _random.Next(3000))}]}}",
        _ => $"{{\"prompt\":[5],\"guided_json\":{{\"type\":\"string\",\"pattern\":{Quote(Pick(Regexes))}}}}}",
    };

    /// <summary>A schema that is deep, wide, recursive or of odd values, as a form or as a tool's parameters.</summary>
    private string WithSchema()
    {
        var depth = _random.Next(1, 80);
        var definitions = string.Join(',', Enumerable.Range(0, 40).Select(i =>
            $"\"d{i}\":{{\"anyOf\":[{{\"$ref\":\"#/$defs/d{(i + 1) % 40}\"}},"
            + "{\"properties\":{\"a\":{\"$ref\":\"#\"}}}]}"));
        var schema = _random.Next(7) switch
        {
            0 => string.Concat(Enumerable.Repeat("{\"type\":\"array\",\"items\":", depth)) + "{}"
                + new string('}', depth),
            1 => string.Concat(Enumerable.Repeat("{\"properties\":{\"a\":", depth)) + "{}"
                + string.Concat(Enumerable.Repeat("}}", depth)),
            2 => $"{{\"$defs\":{{{definitions}}},\"$ref\":\"#/$defs/d0\"}}",
            3 => $"{{\"type\":\"object\",\"properties\":{{{string.Join(',', Enumerable.Range(0, _random.Next(2000))
                .Select(i => $"\"p{i}\":{Pick(Values)}"))}}}}}",
            4 => $"{{\"allOf\":[{List("{\"anyOf\":[{\"minLength\":1},{\"maxLength\":2}]}", 12)}]}}",
            5 => $"{{\"type\":\"string\",\"minLength\":{Pick(Values)},\"maxLength\":{_random.Next(100_000)}}}",
            _ => $"{{\"type\":\"array\",\"{Pick(Keywords)}\":{Pick(Values)},\"{Pick(Keywords)}\":{Pick(Values)}}}",
        };
        const string Hello = "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"max_tokens\":5";
        var form = _random.Next(2) == 0
            ? "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":" + schema + "}}"
            : "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":" + schema + "}}]";
        return $"{{{Hello},{form}}}";
    }

    private string Many()
    {
        var items = _random.Next(1, 5000);
        return _random.Next(4) switch
        {
            0 => $"{{\"prompt\":[5],\"stop\":[{string.Join(',', Enumerable.Repeat("\"x\"", items))}]}}",
            1 => $"{{\"prompt\":[{string.Join(',', Enumerable.Repeat("[5]", items))}],\"n\":99}}",
            2 => $"{{\"prompt\":[5],\"logit_bias\":{{{string.Join(',', Enumerable.Range(0, items)
                .Select(id => $"\"{id}\":1"))}}}}}",
            _ => $"{{\"messages\":[{string.Join(',', Enumerable.Repeat(
                "{\"role\":\"user\",\"content\":\"hello hello\"}", items))}]}}",
        };
    }

    private byte[] Random(int length)
    {
        var bytes = new byte[length];
        _random.NextBytes(bytes);
        return bytes;
    }

    private static string List(string item, int count) => string.Join(',', Enumerable.Repeat(item, count));

    private static string Quote(string text) => JsonSerializer.Serialize(text);

    private string Pick(string[] from) => from[_random.Next(from.Length)];
}
