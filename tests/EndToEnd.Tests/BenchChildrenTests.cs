using System.Diagnostics;
using System.Globalization;
using Krewe.EndToEnd.Tests.Harness;

namespace Krewe.EndToEnd.Tests;

public sealed class BenchChildrenTests
{
    [Fact]
    public async Task What_a_bench_started_ends_with_it_even_when_it_is_killed()
    {
        await using var bench = KreweProcess.Start("bench", "soak", "--rate", "5", "--minutes", "30");
        await bench.WaitForLineAsync(line => line.Contains(" 0.0 min", StringComparison.Ordinal));
        var children = Processes().Where(process => process.Parent == bench.Id).Select(process => process.Id).ToList();
        Assert.Equal(2, children.Count);

        // SIGKILL, to it alone: nothing of its own runs any more that could end them.
        using (var process = Process.GetProcessById(bench.Id)) process.Kill();
        for (var waited = Stopwatch.StartNew(); Processes().Any(process => children.Contains(process.Id));)
        {
            Assert.True(waited.Elapsed < Patience.Hang, "a silo or a worker of a bench that was killed lives on");
            await Task.Delay(50);
        }
    }

    /// <summary>All that run. What has ended and was not waited for yet does not.</summary>
    private static IEnumerable<(int Id, int Parent)> Processes()
    {
        foreach (var folder in Directory.GetDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(folder), out var id)) continue;
            string text;
            try
            {
                text = File.ReadAllText(Path.Combine(folder, "stat"));
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                continue;
            }

            // Behind the name, which may have spaces and brackets: state, parent.
            var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
            if (fields[0] is not ("Z" or "X")) yield return (id, int.Parse(fields[1], CultureInfo.InvariantCulture));
        }
    }
}
