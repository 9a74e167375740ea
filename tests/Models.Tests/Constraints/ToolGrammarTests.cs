using System.Text.Json;
using System.Text.RegularExpressions;

namespace Krewe.Models.Tests.Constraints;

/// <summary>Calls in outputs: forced, allowed, one or several.</summary>
public sealed class ToolGrammarTests
{
    private const string Weather =
        """
        {"type":"object","properties":{"city":{"enum":["Paris","Oslo"]},
        "days":{"type":"integer","minimum":1,"maximum":9}},"required":["city"],"additionalProperties":false}
        """;

    [Theory]
    [InlineData(ToolStyle.Tagged)]
    [InlineData(ToolStyle.Bare)]
    public void A_call_that_is_required_is_written_and_valid(ToolStyle style)
    {
        var tools = new ToolSpec(
            [new ToolFunction("weather", Weather), new ToolFunction("stop", null)], style, MayAnswer: false,
            MayCallSeveral: false, Answer: null);
        var constraint = Compile(tools);
        var begin = style == ToolStyle.Tagged ? "<tool_call>\n{\"name\": \"" : "{\"name\": \"";
        for (var seed = 0; seed < 50; seed++)
        {
            var (text, hasEnded, _) = new RandomWriter(seed).Write(constraint, 200);
            Assert.True(hasEnded, text);
            Assert.StartsWith(begin, text, StringComparison.Ordinal);
            using var call = JsonDocument.Parse(text.Replace("<tool_call>", "", StringComparison.Ordinal)
                .Replace("</tool_call>", "", StringComparison.Ordinal));
            if (call.RootElement.GetProperty("name").GetString() == "stop") continue;
            var arguments = call.RootElement.GetProperty(style == ToolStyle.Tagged ? "arguments" : "parameters");
            Assert.Contains(arguments.GetProperty("city").GetString(), (string[])["Paris", "Oslo"]);
        }
    }

    [Fact]
    public void Text_may_be_anything_until_a_call_opens()
    {
        var takes = Run(new ToolSpec([new ToolFunction("f", Weather)], ToolStyle.Tagged, true, true, null));
        const string Call = "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"city\":\"Oslo\"}}\n</tool_call>";

        Assert.True(takes(""));
        Assert.True(takes("It is < 5 and <tool> <<tool_cal"));
        Assert.True(takes($"Let me see.\n{Call}"));
        Assert.True(takes($"<<tool_{Call}\n{Call}"));
        Assert.False(takes("<tool_call>no"));
        Assert.False(takes($"{Call} and more"));
        Assert.False(takes(Call.Replace("Oslo", "Rome", StringComparison.Ordinal)));
    }

    [Fact]
    public void An_answer_may_have_a_form_of_its_own()
    {
        var answer = new ConstraintSpec { Kind = ConstraintKind.JsonSchema, Text = """{"type":"integer"}""" };
        var takes = Run(new ToolSpec([new ToolFunction("f", null)], ToolStyle.Tagged, true, false, answer));
        const string Call = "<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>";

        Assert.True(takes("17"));
        Assert.True(takes(Call));
        Assert.False(takes("seventeen"));
        Assert.False(takes($"{Call}\n{Call}"));
    }

    [Fact]
    public void Free_text_is_never_hindered_by_the_mask()
    {
        var constraint = Compile(new ToolSpec([new ToolFunction("f", Weather)], ToolStyle.Tagged, true, true, null));
        var (text, _, tokens) = new RandomWriter(11).Write(constraint, 400);

        Assert.True(tokens.Count > 20, text);
        Assert.DoesNotMatch(new Regex("<tool_call>(?!\n\\{\"name\": \"f\", \"arguments\": )"), text);
    }

    private static CompiledConstraint Compile(ToolSpec tools) => CompiledConstraint.Compile(
        new ConstraintSpec { Kind = ConstraintKind.Tools, Tools = tools }, RandomWriter.Vocabulary);

    private static Func<string, bool> Run(ToolSpec tools)
    {
        var spec = new ConstraintSpec { Kind = ConstraintKind.Tools, Tools = tools };
        var running = new LazyAutomaton(ConstraintCompiler.Compile(spec, ByteSet.All), 0);
        return text => System.Text.Encoding.UTF8.GetBytes(text).Aggregate(running.Start, running.Step).Accepts;
    }
}
