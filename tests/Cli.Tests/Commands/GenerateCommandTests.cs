using System.Text.Json;

namespace Krewe.Cli.Tests.Commands;

public sealed class GenerateCommandTests
{
    [Fact]
    public async Task A_chat_is_answered_offline()
    {
        var run = await Run.Krewe("generate", "--chat", "Count from 7 to 12.", "--temperature", "0", "--threads", "1");

        Assert.Equal(ExitCode.Success, run.ExitCode);
        Assert.Contains("text: 7, 8, 9, 10, 11, 12.\n", run.Out.ReplaceLineEndings("\n"));
        Assert.Contains("finish_reason: stop", run.Out);
    }

    [Fact]
    public async Task The_same_seed_gives_the_same_tokens_and_another_does_not()
    {
        var first = await AnswersAsync("--seed", "5", "--prompt-ids", "1,2,3");
        var again = await AnswersAsync("--seed", "5", "--prompt-ids", "1,2,3");
        var other = await AnswersAsync("--seed", "6", "--prompt-ids", "1,2,3");

        Assert.Equal(first, again);
        Assert.NotEqual(first, other);
    }

    [Fact]
    public async Task Several_prompts_are_answered_in_order_one_line_each()
    {
        var together = await AnswersAsync("--seed", "5", "--prompt-ids", "1,2,3", "--prompt-ids", "9,8");
        var alone = await AnswersAsync("--seed", "5", "--prompt-ids", "9,8");

        Assert.Equal(2, together.Length);
        Assert.Equal(alone[0], together[1]);
    }

    [Theory]
    [InlineData("Nothing to do")]
    [InlineData("'x'; it must be token ids", "--prompt-ids", "1,x")]
    [InlineData("Token id 9999 is not in the vocabulary", "--prompt-ids", "1,9999")]
    [InlineData("--top-p is '0'", "--prompt", "hi", "--top-p", "0")]
    public async Task What_cannot_be_generated_is_refused(string said, params string[] arguments)
    {
        var run = await Run.Krewe(["generate", .. arguments]);

        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.Contains(said, run.Error);
        Assert.Empty(run.Out);
    }

    private static async Task<string[]> AnswersAsync(params string[] arguments)
    {
        var run = await Run.Krewe(["generate", "--json", "--max-tokens", "12", "--ignore-eos", "--threads", "1",
            "--temperature", "1", .. arguments]);

        Assert.Equal(ExitCode.Success, run.ExitCode);
        return [.. run.Out.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(ReadIds)];
    }

    private static string ReadIds(string line)
    {
        using var answer = JsonDocument.Parse(line);
        Assert.Equal("length", answer.RootElement.GetProperty("finish_reason").GetString());
        return answer.RootElement.GetProperty("token_ids").ToString();
    }
}
