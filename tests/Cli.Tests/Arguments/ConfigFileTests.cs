namespace Krewe.Cli.Tests.Arguments;

/// <summary><c>--config</c>: the same options, the same errors, and the command line goes first.</summary>
public sealed class ConfigFileTests : IDisposable
{
    private readonly string _file = Path.GetTempFileName();

    public void Dispose() => File.Delete(_file);

    [Fact]
    public async Task Values_are_refused_as_on_the_command_line_which_goes_first()
    {
        var run = await ServeAsync(
            """{ "port": 99999, "kv-memory": "lots", "prefill": -1 }""", "--prefill", "0", "--decode", "0");

        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.Contains("--port is '99999'; it must be a whole number from 0 to 65535.", run.Error);
        Assert.Contains("--kv-memory is 'lots'", run.Error);
        // The command line's 0 would do for the parser; the file's -1 would not.
        Assert.DoesNotContain("--prefill is", run.Error);
    }

    [Fact]
    public async Task What_it_says_counts()
    {
        var run = await ServeAsync("""
            {
              // a comment, and a comma too many
              "prefill": 0, "silence-limit": 0.5, "handoff-lease": "0.2", "no-prefix-cache": true, "verbose": false,
              "cors-origin": ["http://a", "no site"], "pin": [0, 1], "model": "no/such/folder",
            }
            """);

        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.Contains("No worker would take prompts", run.Error);
        Assert.Contains("LinkSilenceLimit is 500 ms", run.Error);
        Assert.Contains("HandoffLease is 200 ms", run.Error);
        Assert.Contains("'no/such/folder' does not exist", run.Error);
        Assert.Contains("no site", run.Error);
    }

    [Theory]
    [InlineData("""{ "prot": 1 }""", "there is no option 'prot'. Did you mean 'port'?")]
    [InlineData("""{ "--port": 1 }""", "there is no option '--port'. Did you mean 'port'?")]
    [InlineData("""{ "log-fromat": "json" }""", "there is no option 'log-fromat'. Did you mean 'log-format'?")]
    [InlineData("""{ "config": "x" }""", "there is no option 'config'.")]
    [InlineData("""{ "port": null }""", "'port' is null; it takes N: Port of the OpenAI API")]
    [InlineData("""{ "switch-roles": {} }""", "'switch-roles' is {}; it takes true or false: ")]
    [InlineData("""{ "switch-roles": "yes" }""", "'switch-roles' is \"yes\"; it takes true or false: ")]
    [InlineData("[]", "it must be a JSON object like ")]
    [InlineData("port: 8080", "LineNumber: 0")]
    public async Task What_it_cannot_say_is_named(string json, string expected)
    {
        var run = await ServeAsync(json);

        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.Contains(expected, run.Error);
        Assert.Contains("nothing was started", run.Error);
    }

    [Fact]
    public async Task A_required_option_may_stand_in_it_more_than_once()
    {
        await File.WriteAllTextAsync(_file, """{ "silo": ["127.0.0.1:1", "nowhere"], "role": "banana" }""");

        var run = await Run.Krewe("worker", "--config", _file);

        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.Contains("--role is 'banana'; it must be one of prefill, decode, mixed.", run.Error);
        Assert.DoesNotContain("--silo HOST:PORT is missing", run.Error);
    }

    [Fact]
    public async Task One_that_is_not_there_is_named()
    {
        var run = await Run.Krewe("silo", "--config", "no-such-file");

        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.Contains("--config is 'no-such-file'; it must be a file, and it does not exist.", run.Error);
    }

    private async Task<Run> ServeAsync(string json, params string[] arguments)
    {
        await File.WriteAllTextAsync(_file, json);
        return await Run.Krewe(["serve", "--config", _file, .. arguments]);
    }
}
