using Krewe.EndToEnd.Tests.Harness;

namespace Krewe.EndToEnd.Tests;

/// <summary>However <c>krewe serve</c> ends, its workers end with it.</summary>
public sealed class ServeLifeTests
{
    // A drain that waits for nobody is over at once; one that waits for a place that was lost takes 25 s.
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task Ctrl_C_ends_all_processes_cleanly()
    {
        await using var cluster = await KreweCluster.StartAsync();
        var workers = (await cluster.StateAsync()).Workers.Select(worker => worker.Pid).ToArray();

        Signals.Interrupt(cluster.Serve.Id);

        Assert.Equal(0, await cluster.Serve.WaitForExitAsync(Limit));
        await AssertGoneAsync(workers);
        Assert.Equal(2, cluster.Log.Split('\n').Count(line => line.Contains("has left", StringComparison.Ordinal)));
        Assert.DoesNotContain("is gone", cluster.Log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Workers_do_not_outlive_a_killed_parent()
    {
        await using var cluster = await KreweCluster.StartAsync();
        var workers = (await cluster.StateAsync()).Workers.Select(worker => worker.Pid).ToArray();

        Signals.Kill(cluster.Serve.Id);

        await AssertGoneAsync(workers);
    }

    private static async Task AssertGoneAsync(int[] pids)
    {
        using var patience = new CancellationTokenSource(Limit);
        foreach (var pid in pids)
        {
            while (IsAlive(pid))
            {
                Assert.False(patience.IsCancellationRequested, $"Worker process {pid} is still there.");
                await Task.Delay(50);
            }
        }
    }

    private static bool IsAlive(int pid)
    {
        try
        {
            using var process = System.Diagnostics.Process.GetProcessById(pid);
            return !process.HasExited;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }
}
