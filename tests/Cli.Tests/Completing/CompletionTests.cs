using System.Diagnostics;

namespace Krewe.Cli.Tests.Completing;

/// <summary>What real shells make of the scripts.</summary>
public sealed class CompletionTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("krewe-shell-");

    public void Dispose() => _folder.Delete(recursive: true);

    [ShellTheory("bash")]
    [InlineData("krewe se", "serve")]
    [InlineData("./krewe cluster ", "up down status --help --verbose --log-format")]
    [InlineData("krewe serve --kv-disk-e", "--kv-disk-evict")]
    [InlineData("krewe serve --kv-disk-evict ", "lru cost")]
    [InlineData("krewe serve --kv-disk-evict = c", "cost")]
    [InlineData("krewe serve --kv-disk-evict =", "lru cost")]
    [InlineData("krewe serve --port ", "")]
    [InlineData("krewe worker --silo a:1 --role pre", "prefill")]
    [InlineData("krewe worker --log-f", "--log-format")]
    [InlineData("krewe simulate faults --r", "--runs")]
    [InlineData("krewe simulate --gpu h", "h100 h200")]
    [InlineData("krewe keys make --role op", "operator")]
    [InlineData("krewe completion ", "--help --verbose --log-format bash zsh fish")]
    [InlineData("krewe serve --model f", "folder")]
    [InlineData("krewe serve --config f", "file one|folder")]
    [InlineData("krewe replay f", "file one|folder")]
    [InlineData("krewe serve --test-hold", "")]
    public async Task Bash_completes(string line, string expected)
    {
        var words = line.Split(' ');
        var script = await ScriptAsync("bash");
        var said = await SayAsync(
            "bash", "-c",
            $"source {script}; COMP_WORDS=({string.Join(' ', words.Select(word => $"'{word}'"))}); "
            + $"COMP_CWORD={words.Length - 1}; _krewe; IFS='|'; echo \"${{COMPREPLY[*]}}\"");

        var wanted = expected.Contains('|') || expected.Contains("file") ? expected.Split('|') : expected.Split(' ');
        Assert.Equal(wanted.Order(), said.Trim().Split('|').Order());
    }

    [ShellTheory("bash")]
    [InlineData("krewe")]
    [InlineData("./krewe")]
    [InlineData("/usr/bin/krewe")]
    public async Task Bash_finds_it_under_every_name(string command)
    {
        var script = await ScriptAsync("bash");

        Assert.Contains(
            "-F _krewe", await SayAsync("bash", "-c", $"source {script}; complete -p {Path.GetFileName(command)}"));
    }

    [ShellTheory("zsh")]
    [InlineData("-n")]
    public async Task Zsh_reads_it(string check) =>
        Assert.Equal("", await SayAsync("zsh", check, await ScriptAsync("zsh")));

    [ShellTheory("fish")]
    [InlineData("krewe se", "serve")]
    [InlineData("krewe serve --kv-disk-evict ", "cost lru")]
    [InlineData("krewe worker --role pre", "prefill")]
    [InlineData("krewe simulate faults --r", "--runs")]
    [InlineData("krewe cluster ", "down status up")]
    public async Task Fish_completes(string line, string expected)
    {
        var script = await ScriptAsync("fish");
        var said = await SayAsync("fish", "-c", $"source {script}; complete -C '{line}'");

        var names = said.Trim().Split('\n').Select(one => one.Split('\t')[0]);
        Assert.Equal(expected.Split(' '), names.Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("zsh", "--kv-disk-evict:What goes first when the disk tier is full. Default lru.")]
    [InlineData("fish", "-l kv-disk-evict -x -a 'cost lru' -d 'What goes first when the disk tier is full. Default ")]
    public async Task Descriptions_are_helps(string shell, string expected)
    {
        var run = await Run.Krewe("completion", shell);

        Assert.Equal((ExitCode.Success, ""), (run.ExitCode, run.Error));
        Assert.Contains(expected, run.Out);
        Assert.DoesNotContain("--test-", run.Out);
    }

    [Fact]
    public async Task Another_shell_is_refused()
    {
        var run = await Run.Krewe("completion", "tcsh");

        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.Contains("<shell> is 'tcsh'; it must be one of bash, zsh, fish.", run.Error);
        Assert.Contains("<shell> is missing: bash, zsh or fish.", (await Run.Krewe("completion")).Error);
    }

    private async Task<string> ScriptAsync(string shell)
    {
        var path = Path.Combine(_folder.FullName, ".script");
        await File.WriteAllTextAsync(path, (await Run.Krewe("completion", shell)).Out);
        Directory.CreateDirectory(Path.Combine(_folder.FullName, "folder"));
        await File.WriteAllTextAsync(Path.Combine(_folder.FullName, "file one"), "");
        return path;
    }

    private async Task<string> SayAsync(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = _folder.FullName,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["HOME"] = _folder.FullName;
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync();
        var said = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.Equal("", await error);
        return said;
    }

    /// <summary>Skipped, with the reason, where the shell is not installed.</summary>
    private sealed class ShellTheoryAttribute : TheoryAttribute
    {
        public ShellTheoryAttribute(string shell) => Skip =
            (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
                .Any(folder => File.Exists(Path.Combine(folder, shell)))
                    ? null
                    : $"{shell} is not on PATH";
    }
}
