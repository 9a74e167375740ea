using System.Diagnostics;
using Krewe.EndToEnd.Tests.Harness;
using Xunit.Abstractions;

namespace Krewe.EndToEnd.Tests;

/// <summary>What a newcomer sees: clone, one command, an answer. The build starts from nothing.</summary>
public sealed class FreshCloneTests(ITestOutputHelper output) : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(120);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("krewe-clone-");

    public void Dispose() => _folder.Delete(recursive: true);

    [LongFact("a minute")]
    public async Task A_fresh_clone_answers_within_120_seconds_of_the_command()
    {
        var root = new DirectoryInfo(Prompts.ModelFolder).Parent!.Parent!.FullName;
        using var git = Process.Start("git", ["clone", "--quiet", root, _folder.FullName]);
        await git.WaitForExitAsync();
        Assert.Equal(0, git.ExitCode);

        var clock = Stopwatch.StartNew();
        await using var serve = KreweProcess.StartProgram(
            Path.Combine(_folder.FullName, "krewe"), "serve", "--port", "0");
        await serve.WaitForLineAsync(line => line.StartsWith("Krewe is ready", StringComparison.Ordinal));

        output.WriteLine($"{clock.Elapsed.TotalSeconds:0.0} s");
        Assert.True(clock.Elapsed < Limit);
    }
}
