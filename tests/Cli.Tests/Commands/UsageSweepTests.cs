using System.CommandLine;
using System.CommandLine.Completions;
using System.CommandLine.Help;

namespace Krewe.Cli.Tests.Commands;

/// <summary>Every command that help shows, by what its own tables of options say.</summary>
public sealed class UsageSweepTests
{
    private static readonly Terminal Nowhere = new(TextReader.Null, TextWriter.Null, TextWriter.Null);

    public static TheoryData<string> Paths => [.. All(KreweCommand.Build(Nowhere), "").Select(one => one.Path)];

    [Fact]
    public void There_are_many_commands_and_options()
    {
        var all = All(KreweCommand.Build(Nowhere), "").ToArray();

        Assert.True(all.Length > 30, $"{all.Length} commands");
        Assert.True(all.Sum(one => Visible(one.Command).Count()) > 300);
        Assert.True(all.Sum(one => Typed(one.Command).Count()) > 200);
    }

    [Theory]
    [MemberData(nameof(Paths))]
    public async Task Help_says_what_each_option_takes(string path)
    {
        var run = await AtAsync(path, "--help");

        Assert.Equal(ExitCode.Success, run.ExitCode);
        Assert.Empty(run.Error);
        foreach (var option in Visible(Find(path)))
        {
            Assert.Contains($"  {option.Name}", run.Out);
            Assert.True(option.Description is { Length: > 4 } text && text[^1] == '.', option.Name);
            Assert.True(TakesNothing(option) || option.HelpName is { Length: > 0 }, $"{option.Name} takes what?");
        }
    }

    [Theory]
    [MemberData(nameof(Paths))]
    public async Task What_is_unknown_is_named_and_so_is_a_word_too_many(string path)
    {
        Says(await AtAsync(path, "--frobnicate"), "'--frobnicate'", $"see 'krewe {path} --help'");
        if (Find(path).Arguments.Count > 0)
        {
            Says(await AtAsync(path, "an-argument", "--frobnicate", "its-value", "stray"), "'--frobnicate'", "'stray'");
            return;
        }

        Says(await AtAsync(path, "--frobnicate", "its-value", "stray"), "'--frobnicate'", "'stray'");
        Says(await AtAsync(path, "--frobnicate=its-value", "stray"), "'--frobnicate=its-value'", "'stray'");
        Says(await AtAsync(path, "--frobnicate", "--verbose", "stray"), "'--frobnicate'", "'stray'");
    }

    [Theory]
    [MemberData(nameof(Paths))]
    public async Task An_option_without_its_value_is_told_what_it_takes(string path)
    {
        var options = Visible(Find(path)).Where(option => !TakesNothing(option)).ToArray();
        // Another option is no value.
        foreach (var option in options) Says(await AtAsync(path, option.Name, "--verbose"), Expected(option));
        if (options.Length > 0) Says(await AtAsync(path, options[0].Name), Expected(options[0]));

        static string Expected(Option option) =>
            $"{option.Name} needs a value, {option.HelpName}: {option.Description}";
    }

    [Theory]
    [MemberData(nameof(Paths))]
    public async Task A_wrong_value_is_named_with_what_would_be_right(string path)
    {
        var options = Typed(Find(path)).ToArray();
        if (options.Length == 0) return;

        var run = await AtAsync(path, [.. options.Select(option => $"{option.Name}=a-b")]);

        Says(run, []);
        foreach (var option in options)
        {
            var line = Assert.Single(
                run.Error.Split('\n'), line => line.StartsWith($"krewe: {option.Name} ", StringComparison.Ordinal));
            Assert.Matches("'a-b'.*; (it must|it takes|write|areas are)", line);
            // A list of names is all of it there.
            foreach (var name in Completions(option)) Assert.Contains(name, line);
        }
    }

    [Theory]
    [MemberData(nameof(Paths))]
    public async Task A_group_asks_which_of_its_commands(string path)
    {
        var command = Find(path);
        if (command.Action is not null) return;

        Says(await AtAsync(path), [.. command.Subcommands.Where(one => !one.Hidden).Select(one => one.Name)]);
    }

    /// <summary>Behind -- a word may begin with a dash: here the folder that is not there is named.</summary>
    [Fact]
    public async Task Behind_two_dashes_everything_is_an_argument()
    {
        var run = await Run.Krewe("model", "info", "--", "--frobnicate");

        Assert.Contains("--frobnicate: the model folder", run.Error);
    }

    /// <summary>A word that begins with @ is a word, and no file to read options from.</summary>
    [Fact]
    public async Task A_word_with_an_at_sign_is_no_file()
    {
        var run = await Run.Krewe("model", "info", "@no-such-folder");

        Assert.Contains("@no-such-folder", run.Error);
        Assert.DoesNotContain("esponse file", run.Error);
    }

    private static void Says(Run run, params string[] words)
    {
        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.Empty(run.Out);
        Assert.Contains("nothing was started", run.Error);
        Assert.All(words, word => Assert.Contains(word, run.Error));
        Assert.DoesNotContain("Cannot parse argument", run.Error);
        Assert.DoesNotContain("Required argument missing", run.Error);
    }

    private static Task<Run> AtAsync(string path, params string[] more) =>
        Run.Krewe([.. path.Split(' ', StringSplitOptions.RemoveEmptyEntries), .. more]);

    private static Command Find(string path) =>
        All(KreweCommand.Build(Nowhere), "").First(one => one.Path == path).Command;

    private static IEnumerable<(string Path, Command Command)> All(Command command, string path) =>
        command.Subcommands.Where(one => !one.Hidden).SelectMany(one => All(one, $"{path} {one.Name}".Trim()))
            .Concat(command is RootCommand ? [] : [(path, command)]);

    private static IEnumerable<Option> Visible(Command command) =>
        command.Options.Where(option => !option.Hidden && option is not HelpOption);

    /// <summary>Options that do not take any word.</summary>
    private static IEnumerable<Option> Typed(Command command) => Visible(command).Where(option =>
        (option.ValueType != typeof(string) && option.ValueType != typeof(string[])) || Completions(option).Any());

    private static IEnumerable<string> Completions(Option option) => option is Option<bool>
        ? []
        : option.GetCompletions(CompletionContext.Empty).Select(one => one.Label);

    private static bool TakesNothing(Option option) => option is Option<bool>;
}
