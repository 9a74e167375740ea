using System.Diagnostics;
using System.Text.Json;

namespace Krewe.Models.Tests.ChatTemplates;

public class ChatTemplateTests
{
    private const string NestDeep =
        "{% set n = namespace(l=[]) %}{% for a in range(90000) %}{% set n.l = [n.l] %}{% endfor %}";

    private const string DoubleOften =
        "{% set n = namespace(l=[1]) %}{% for a in range(64) %}{% set n.l = [n.l, n.l] %}{% endfor %}";

    private static readonly ChatTemplateInput Empty = new() { Messages = [] };

    [Theory]
    [InlineData("{% if a %}", "endif")]
    [InlineData("a\n{{ a", "line 2")]
    [InlineData("{{ }}", "a value is expected")]
    [InlineData("{% endif %}", "endif")]
    [InlineData("{% for x of y %}{% endfor %}", "\"in\"")]
    [InlineData("{{ a | frobnicate }}", "the filter \"frobnicate\" is not supported")]
    [InlineData("{{ a is frobnicated }}", "the test \"frobnicated\" is not supported")]
    [InlineData("{% include 'x' %}", "the tag \"include\" is not supported")]
    [InlineData("{{ 'abc }}", "a string is not closed")]
    [InlineData("{# abc", "a comment is not closed")]
    [InlineData("{% raw %} abc", "endraw")]
    [InlineData("{{ a $ b }}", "\"$\"")]
    [InlineData("{{ 99999999999999999999 }}", "64 bits")]
    [InlineData("{{ f(a=1, 2) }}", "without a name")]
    [InlineData("{{ {'a' 1} }}", "\":\"")]
    [InlineData("{{ a b }}", "\"}}\" is expected")]
    [InlineData("{% for x in y recursive %}{% endfor %}", "recursive")]
    public void A_syntax_error_names_the_thing_and_the_line(string template, string part)
    {
        var error = Assert.Throws<ModelException>(() => ChatTemplate.Parse(template));
        Assert.Contains(part, error.Message, StringComparison.Ordinal);
        Assert.Contains("line ", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}")]
    [InlineData("{% set n = namespace(s='xxxxxx') %}{% for a in range(90) %}{% set n.s = n.s + n.s %}{% endfor %}")]
    [InlineData("{{ 'x' * 999999999999 }}")]
    [InlineData("{{ range(9999999999) }}")]
    [InlineData("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}")]
    [InlineData(NestDeep + "{{ n.l }}")]
    [InlineData(NestDeep + "{{ n.l | tojson }}")]
    [InlineData(DoubleOften + "{{ n.l }}")]
    [InlineData(DoubleOften + "{{ n.l == n.l + [] }}")]
    [InlineData("{{ ('x' * 9000000).replace('x', 'yyyyyyyyyyyy') }}")]
    [InlineData("{{ range(90000) | join('x' * 9000) }}")]
    [InlineData("{% for a in range(90000) %}{{ 'x' * 9000 }}{% endfor %}")]
    public void A_hostile_template_ends_in_an_error(string source)
    {
        // A second or so where nothing else runs, however much more on a busy machine; without its limits it would take
        // hours, or all memory.
        var watch = Stopwatch.StartNew();
        Assert.Throws<TemplateException>(() => ChatTemplate.Parse(source).Render(Empty));
        Assert.True(watch.Elapsed < TimeSpan.FromMinutes(10), $"it took {watch.Elapsed}");
    }

    [Theory]
    [InlineData("(", ")")]
    [InlineData("[", "]")]
    [InlineData("not ", "")]
    [InlineData("-", "")]
    [InlineData("1 if 1 else ", "")]
    public void Deep_nesting_is_refused_and_does_not_end_the_process(string open, string close)
    {
        string Nest(int depth) => "{{ " + string.Concat(Enumerable.Repeat(open, depth)) + "1"
            + string.Concat(Enumerable.Repeat(close, depth)) + " }}";
        Assert.Contains("nested", Assert.Throws<ModelException>(() => ChatTemplate.Parse(Nest(100_000))).Message,
            StringComparison.Ordinal);
        Assert.NotEmpty(ChatTemplate.Parse(Nest(20)).Render(Empty));
    }

    [Fact]
    public void A_very_long_chain_of_operators_is_refused_and_does_not_end_the_process()
    {
        var source = "{{ 1" + string.Concat(Enumerable.Repeat(" + 1", 200_000)) + " }}";
        Assert.Throws<TemplateException>(() => ChatTemplate.Parse(source).Render(Empty));
    }

    [Fact]
    public void Random_damage_to_a_template_gives_text_or_a_named_error_and_nothing_else()
    {
        var source = File.ReadAllText(TestFiles.Fixture("templates/qwen3-8b.jinja"));
        const string Characters = "{}%#'\"()[]|.,:-+ \nabc01";
        var random = new Random(3);
        var input = new ChatTemplateInput { Messages = [new("user", "Hi"), new("assistant", "Yo")] };
        for (var round = 0; round < 2000; round++)
        {
            var chars = source.ToCharArray();
            for (var edits = random.Next(1, 6); edits > 0; edits--)
                chars[random.Next(chars.Length)] = Characters[random.Next(Characters.Length)];
            try
            {
                ChatTemplate.Parse(new string(chars)).Render(input);
            }
            catch (Exception e) when (e is ModelException or TemplateException)
            {
                Assert.NotEmpty(e.Message);
            }
        }
    }

    [Fact]
    public void What_a_template_raises_reaches_the_client_word_for_word()
    {
        var template = ChatTemplate.Parse("{{ raise_exception('Roles must alternate!') }}");
        Assert.Equal("Roles must alternate!", Assert.Throws<TemplateException>(() => template.Render(Empty)).Message);
    }

    [Fact]
    public void Tool_arguments_spelled_as_a_string_reach_the_template_as_an_object()
    {
        using var calls = JsonDocument.Parse("""
            [{"id":"1","function":{"name":"f","arguments":"{\"a\": [1, 2.50], \"b\": \"ü\"}"}},
             {"id":"2","function":{"name":"g","arguments":"not json"}}]
            """);
        var input = new ChatTemplateInput
        {
            Messages =
            [
                new ChatMessage("assistant", null) { ToolCalls = calls.RootElement, Name = "n", ToolCallId = "t" },
            ],
        };
        var template = ChatTemplate.Parse(
            "{% for c in messages[0].tool_calls %}{{ c.function.arguments | tojson }};{% endfor %}"
            + "{{ messages[0].name }}{{ messages[0].tool_call_id }}{{ messages[0].content }}");
        Assert.Equal("""{"a": [1, 2.5], "b": "ü"};"not json";ntNone""", template.Render(input));
    }

    [Fact]
    public void Half_a_surrogate_pair_in_the_clients_json_is_the_clients_error()
    {
        using var tools = JsonDocument.Parse("""[{"a":"\ud800"}]""");
        var input = new ChatTemplateInput { Messages = [], Tools = tools.RootElement };
        Assert.Contains("not valid Unicode",
            Assert.Throws<TemplateException>(() => ChatTemplate.Parse("x").Render(input)).Message,
                StringComparison.Ordinal);
    }

    [Fact]
    public void Rendering_twice_and_from_many_threads_gives_the_same_text()
    {
        var template = ChatTemplate.Parse(File.ReadAllText(TestFiles.Fixture("templates/llama-3-8b-instruct.jinja")));
        var input = new ChatTemplateInput { Messages = [new("user", "Hi")], BosToken = "<b>" };
        var expected = "<b><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
            + "<|start_header_id|>assistant<|end_header_id|>\n\n";
        Parallel.For(0, 200, _ => Assert.Equal(expected, template.Render(input)));
    }
}
