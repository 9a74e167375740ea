using Krewe.Abstractions;
using Krewe.Models;

namespace Krewe.Cli.Tests;

public sealed class FailureReportTests
{
    [Theory]
    [InlineData(ErrorCode.InvalidOptions, ExitCode.Usage)]
    [InlineData(ErrorCode.PortInUse, ExitCode.PortInUse)]
    [InlineData(ErrorCode.DeviceUnavailable, ExitCode.NoDevice)]
    [InlineData(ErrorCode.DeviceBusy, ExitCode.DeviceBusy)]
    [InlineData(ErrorCode.ModelMismatch, ExitCode.Refused)]
    [InlineData(ErrorCode.KvGeometryMismatch, ExitCode.Refused)]
    [InlineData(ErrorCode.EngineFault, ExitCode.Failure)]
    public void Each_failure_ends_with_its_code(ErrorCode error, int code) =>
        Assert.Equal(code, FailureReport.CodeOf(error));

    [Fact]
    public void A_known_failure_is_one_line_without_a_stack_trace()
    {
        var (code, error) = Print(new ModelException("config.json: the field \"x\" is missing."), verbose: false);

        Assert.Equal(ExitCode.Refused, code);
        Assert.Equal("krewe: config.json: the field \"x\" is missing.\n", error.ReplaceLineEndings("\n"));
    }

    [Fact]
    public void An_unexpected_failure_says_how_to_see_more()
    {
        var (code, error) = Print(new AggregateException(new FormatException("odd")), verbose: false);

        Assert.Equal(ExitCode.Failure, code);
        Assert.Contains("krewe: odd", error);
        Assert.Contains("FormatException; --verbose", error);
    }

    [Fact]
    public void Verbose_shows_where() =>
        Assert.Contains("System.FormatException: odd", Print(new FormatException("odd"), verbose: true).Error);

    private static (int Code, string Error) Print(Exception failure, bool verbose)
    {
        using var error = new StringWriter();
        var code = FailureReport.Print(failure, new Terminal(TextReader.Null, TextWriter.Null, error), verbose);
        return (code, error.ToString());
    }
}
