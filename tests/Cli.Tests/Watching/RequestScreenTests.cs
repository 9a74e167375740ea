using Krewe.Cli.Watching;

namespace Krewe.Cli.Tests.Watching;

public sealed class RequestScreenTests
{
    [Fact]
    public void Each_step_is_a_line_with_its_time_and_place()
    {
        var text = Screen(Life("finished"));

        Assert.Contains("r1 finished (stop), came 2026-11-28 15:00:00 UTC", text, StringComparison.Ordinal);
        Assert.Contains("3 prompt tokens, 4 output tokens, seed 5, 2 attempts", text, StringComparison.Ordinal);
        var line = Assert.Single(text.Split('\n'), one => one.Contains("queued [here]", StringComparison.Ordinal));
        Assert.Matches(@"3\.5 ms +2\.5 ms +4 +1 +prefill-0 +queued \[here\]", line);
        Assert.Matches(@"gateway +taken in", text);
    }

    [Fact]
    public void A_failure_says_why()
    {
        var text = Screen(Life("failed") with { Error = new RequestError("No worker is ready.", "no_workers") });

        Assert.Contains("r1 failed", text, StringComparison.Ordinal);
        Assert.Contains("no_workers: No worker is ready.", text, StringComparison.Ordinal);
    }

    private static string Screen(RequestLife life)
    {
        using var output = new StringWriter();
        new Terminal(TextReader.Null, output, TextWriter.Null).Ansi().Write(RequestScreen.Of(life));
        return output.ToString();
    }

    private static RequestLife Life(string outcome) => new()
    {
        Id = "r1",
        Phase = "Finished",
        Outcome = outcome,
        FinishReason = "stop",
        Epoch = 2,
        PromptTokens = 3,
        OutputTokens = 4,
        Seed = 5,
        Migrations = 0,
        ArrivedAt = new DateTimeOffset(2026, 11, 28, 15, 0, 0, TimeSpan.Zero),
        Steps =
        [
            new RequestStep(1, 1, 0, null, "taken in"),
            new RequestStep(4, 3.5, 1, "prefill-0", "queued [here]"),
        ],
    };
}
