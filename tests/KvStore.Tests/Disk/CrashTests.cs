using System.Diagnostics;
using Krewe.KvStore.Devices;
using Krewe.KvStore.Disk;

namespace Krewe.KvStore.Tests.Disk;

/// <summary>kill -9 of a real process in the middle of writing.</summary>
public sealed class CrashTests : IDisposable
{
    private static readonly int Kills = IsLong ? 100 : 5;

    private readonly TemporaryDirectory _directory = new();

    private static bool IsLong => Environment.GetEnvironmentVariable("KREWE_LONG_TESTS") == "1";

    public void Dispose() => _directory.Dispose();

    [Theory]
    [IoUringData]
    [InlineData(IoPath.RandomAccess)]
    public async Task Killed_while_writing_the_store_reopens_and_serves_only_right_bytes(IoPath path)
    {
        var random = new Random(1);
        var served = 0;
        for (var kill = 0; kill < Kills; kill++)
        {
            using (var writer = Start(path, kill))
            {
                // Dies somewhere after some tens of operations, in whatever it is doing then.
                for (var lines = random.Next(1, 6); lines > 0; lines--)
                    Assert.NotNull(await writer.StandardOutput.ReadLineAsync());
                writer.Kill();
                await writer.WaitForExitAsync();
            }

            await using var store = await SsdObjectStore.OpenAsync(
                CrashWriter.Options(_directory.Path), new BlockDeviceOptions { Path = path });
            for (var i = 0; i < CrashWriter.Keys; i++) served += await store.GetAsync(i) == ReadOutcome.Hit ? 1 : 0;
            // A process's death tears no page: what the kernel has taken reaches the disk whole.
            Assert.Equal(0, store.Statistics.CorruptObjects);
            Assert.Equal(0, store.Statistics.TornHeaders);
            Assert.Empty(store.CheckIntegrity());
        }

        Assert.True(served > Kills * 10, $"only {served} objects survived {Kills} kills");
    }

    private Process Start(IoPath path, int seed)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!)
        {
            RedirectStandardOutput = true,
        };
        string[] arguments =
            ["exec", typeof(CrashTests).Assembly.Location, "crash-writer", _directory.Path, $"{path}", $"{seed}"];
        foreach (var argument in arguments) start.ArgumentList.Add(argument);
        return Process.Start(start)!;
    }
}
