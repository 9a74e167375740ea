using System.Text.Json;

namespace Krewe.Models.Tests.ChatTemplates;

/// <summary>What Jinja itself made of each template, see Fixtures/templates/README.md.</summary>
public class JinjaAgreementTests
{
    private static readonly JsonElement Semantics = TestFiles.Json("templates/semantics.json");
    private static readonly JsonElement Conversations = TestFiles.Json("templates/expected.json");

    public static TheoryData<int> SemanticCases =>
        [.. Enumerable.Range(0, Semantics.GetProperty("cases").GetArrayLength())];

    public static TheoryData<int> ConversationCases => [.. Enumerable.Range(0, Conversations.GetArrayLength())];

    [Theory]
    [MemberData(nameof(SemanticCases))]
    public void Small_templates_render_as_jinja_renders_them(int index)
    {
        var item = Semantics.GetProperty("cases")[index];
        var input = new ChatTemplateInput
        {
            Messages = [],
            Arguments = Semantics.GetProperty("variables").EnumerateObject().ToDictionary(v => v.Name, v => v.Value),
            Clock = new FixedClock(),
        };
        Check(item, () => ChatTemplate.Parse(item.GetProperty("template").GetString()!).Render(input));
    }

    [Theory]
    [MemberData(nameof(ConversationCases))]
    public void Templates_of_real_models_render_as_jinja_renders_them(int index)
    {
        var item = Conversations[index];
        var source = File.ReadAllText(TestFiles.Fixture("templates/" + item.GetProperty("template").GetString()));
        Check(item, () => ChatTemplate.Parse(source).Render(ToInput(item.GetProperty("input"))));
    }

    [Fact]
    public void The_fixture_would_notice_a_wrong_rendering()
    {
        var item = Semantics.GetProperty("cases")[0];
        Assert.ThrowsAny<Xunit.Sdk.XunitException>(() => Check(item, () => "something else"));
    }

    private static void Check(JsonElement item, Func<string> render)
    {
        if (item.TryGetProperty("expected", out var expected))
        {
            Assert.Equal(expected.GetString(), render());
            return;
        }

        var raised = Assert.Throws<TemplateException>(render);
        if (item.GetProperty("raises").ValueKind == JsonValueKind.String)
            Assert.Equal(item.GetProperty("raises").GetString(), raised.Message);
    }

    private static ChatTemplateInput ToInput(JsonElement given) => new()
    {
        Messages = [.. given.GetProperty("messages").EnumerateArray().Select(ToMessage)],
        AddGenerationPrompt = given.GetProperty("add_generation_prompt").GetBoolean(),
        Tools = given.TryGetProperty("tools", out var tools) ? tools : null,
        Arguments = given.EnumerateObject().Where(v => v.Name is not ("messages" or "add_generation_prompt" or "tools"))
            .ToDictionary(v => v.Name, v => v.Value),
        BosToken = "<s>",
        EosToken = "</s>",
        Clock = new FixedClock(),
    };

    private static ChatMessage ToMessage(JsonElement message) => new(
        message.GetProperty("role").GetString()!, message.GetProperty("content").GetString())
    {
        ToolCalls = message.TryGetProperty("tool_calls", out var calls) ? calls : null,
        ToolCallId = message.TryGetProperty("tool_call_id", out var id) ? id.GetString() : null,
        Reasoning = message.TryGetProperty("reasoning_content", out var reasoning) ? reasoning.GetString() : null,
    };

    private sealed class FixedClock : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => new(2025, 3, 7, 9, 5, 2, TimeSpan.Zero);
    }
}
