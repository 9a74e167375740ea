using System.CommandLine;
using System.Text.RegularExpressions;
using Krewe.Cli;

namespace Krewe.Tidy.Tests;

/// <summary>What the README tells users to type must exist, and nothing else may be run for them.</summary>
public sealed partial class ReadmeTests
{
    private const int ScreenLines = 70;

    [Fact]
    public void Commands_of_the_README_exist() =>
        Findings.None(FindUnknownCommands(Repository.Get("README.md").Text));

    [Fact]
    public void A_command_that_does_not_exist_is_found() =>
        Assert.Single(FindUnknownCommands("```bash\n./krewe serve\n./krewe conquer\n```"));

    [Fact]
    public void The_README_fits_a_screen() =>
        Assert.InRange(Repository.Get("README.md").Lines().Count(), 1, ScreenLines);

    [Fact]
    public void Continuous_integration_runs_what_the_README_says()
    {
        var readme = Repository.Get("README.md").Text;
        var commands = Repository.Get(".ci/run").Lines().Select(line => line.Text)
            .Where(line => line.StartsWith("./", StringComparison.Ordinal)).ToArray();

        Assert.Equal(["./krewe test"], commands);
        Assert.Contains("./krewe test", readme, StringComparison.Ordinal);
    }

    private static IEnumerable<string> FindUnknownCommands(string readme)
    {
        var known = KreweCommand.Build(Terminal.Standard()).Subcommands.Select(command => command.Name).Append("test");
        return Use().Matches(readme).Select(use => use.Groups[1].Value).Distinct().Except(known)
            .Select(command => $"README.md: './krewe {command}' does not exist.");
    }

    [GeneratedRegex(@"\./krewe ([a-z]+)")]
    private static partial Regex Use();
}
