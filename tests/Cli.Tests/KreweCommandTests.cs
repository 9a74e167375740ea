namespace Krewe.Cli.Tests;

public sealed class KreweCommandTests
{
    [Fact]
    public async Task Every_error_of_a_command_line_is_said_at_once()
    {
        var run = await Run.Krewe(
            "serve", "--port", "99999", "--kv-memory", "lots", "--colour", "--silence-limit", "0");

        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.Contains("--port is '99999'; it must be a whole number from 0 to 65535.", run.Error);
        Assert.Contains("--kv-memory is 'lots'", run.Error);
        Assert.Contains("--colour", run.Error);
        Assert.Contains("--silence-limit is '0'", run.Error);
        Assert.Contains("nothing was started", run.Error);
        Assert.Empty(run.Out);
    }

    [Fact]
    public async Task Settings_that_contradict_each_other_are_refused_together()
    {
        var run = await Run.Krewe(
            "serve", "--prefill", "0", "--silence-limit", "0.5", "--handoff-lease", "0.2", "--model", "no/such/folder");

        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.Contains("No worker would take prompts", run.Error);
        Assert.Contains("LinkSilenceLimit is 500 ms", run.Error);
        Assert.Contains("HandoffLease is 200 ms", run.Error);
        Assert.Contains("'no/such/folder' does not exist", run.Error);
    }

    [Theory]
    [InlineData("frobnicate")]
    [InlineData("--frobnicate")]
    [InlineData("chat", "--frobnicate")]
    [InlineData("model", "info", "--frobnicate")]
    [InlineData("worker", "--silo", "127.0.0.1:1", "--frobnicate")]
    public async Task What_is_unknown_is_refused_by_name(params string[] arguments)
    {
        var run = await Run.Krewe(arguments);

        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.Contains("frobnicate", run.Error);
    }

    [Theory]
    [InlineData("serve")]
    [InlineData("silo")]
    [InlineData("worker")]
    [InlineData("chat")]
    [InlineData("generate")]
    [InlineData("bench")]
    [InlineData("model")]
    [InlineData("doctor")]
    public async Task Every_command_has_help(string command)
    {
        var run = await Run.Krewe(command, "--help");

        Assert.Equal(ExitCode.Success, run.ExitCode);
        Assert.Contains($" {command} ", run.Out);
        Assert.DoesNotContain("--test-hold-file", run.Out);
    }

    [Theory]
    [InlineData("'serve'", "serv")]
    [InlineData("'--prefill'", "serve", "--prefil", "2")]
    [InlineData("'--log-format'", "top", "--log-fromat=json")]
    [InlineData("'info'", "model", "infos")]
    public async Task A_slip_is_told_once_with_what_was_meant(string meant, params string[] arguments)
    {
        var run = await Run.Krewe(arguments);

        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.Contains($"Did you mean {meant}?", run.Error);
        // The slip and "nothing was started": neither the option's value nor the missing command beside it.
        Assert.Equal(2, run.Error.Trim().Split('\n').Length);
    }

    [Fact]
    public async Task What_is_no_slip_gets_no_guess()
    {
        Assert.DoesNotContain("Did you mean", (await Run.Krewe("frobnicate")).Error);
        Assert.DoesNotContain("Did you mean", (await Run.Krewe("serve", "--frobnicate")).Error);
    }

    [Fact]
    public async Task Nothing_shows_what_there_is()
    {
        var none = await Run.Krewe();
        var model = await Run.Krewe("keys");

        Assert.Equal(ExitCode.Success, none.ExitCode);
        Assert.Contains("serve", none.Out);
        Assert.Equal(ExitCode.Usage, model.ExitCode);
        Assert.Contains("Which of them? make, hash.", model.Error);
    }
}
