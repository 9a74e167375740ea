using Microsoft.Extensions.Logging;

namespace Krewe.Cli.Tests.Logging;

public sealed class LineLoggerProviderTests
{
    [Fact]
    public void A_warning_is_one_line_with_its_cause_and_no_stack_trace()
    {
        var text = Log(withTraces: false);

        Assert.EndsWith(
            " warn Krewe.X: two lines (IOException: broken)\n", text.ReplaceLineEndings("\n"),
            StringComparison.Ordinal);
        Assert.Single(text.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    [Fact]
    public void Verbose_adds_the_stack_trace() =>
        Assert.Contains("System.IO.IOException: broken", Log(withTraces: true));

    private static string Log(bool withTraces)
    {
        using var output = new StringWriter();
        using var provider = new LineLoggerProvider(output, TimeProvider.System, withTraces);
        var logger = provider.CreateLogger("Krewe.X");
        logger.Log(LogLevel.Warning, default, "two\nlines", new IOException("broken"), (state, _) => state);
        return output.ToString();
    }
}
