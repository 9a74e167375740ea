using System.Diagnostics;
using Krewe.EndToEnd.Tests.Harness;

namespace Krewe.EndToEnd.Tests;

/// <summary>A whole <c>krewe serve</c> whose <c>--kv-disk</c> is a real file system of 8 MiB.</summary>
public sealed class FullDiskTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("krewe-full-");

    public void Dispose() => _folder.Delete(recursive: true);

    [OwnMountsFact]
    public Task Without_a_byte_left_it_serves_without_the_disk() => ServesAsync(
        "head -c 9000000 /dev/zero > $DIR/other || true", "1MiB", leaves: 0);

    /// <summary>Segments that are of no use without their journal are not kept from others.</summary>
    [OwnMountsFact(isLong: true)]
    public Task Where_only_the_segments_fit_nothing_is_reserved() => ServesAsync("true", "6MiB", leaves: 8_000);

    /// <summary>The control.</summary>
    [OwnMountsFact(isLong: true)]
    public Task Where_all_fits_it_is_used() => ServesAsync("true", "4MiB", leaves: null);

    /// <param name="before">What is done to the disk, $DIR, first.</param>
    /// <param name="leaves">KiB that are free at least when it serves; null: it has its disk.</param>
    private async Task ServesAsync(string before, string bytes, int? leaves)
    {
        var script = $"""
            DIR={_folder.FullName}
            mount -t tmpfs -o size=8m tmpfs $DIR
            {before}
            exec dotnet {Path.Combine(AppContext.BaseDirectory, "krewe.dll")} serve --port 0 --mixed 1 \
              --kv-disk $DIR --kv-disk-bytes {bytes} --verbose
            """;
        await using var serve = KreweProcess.StartProgram(
            "unshare", [.. OwnMountsFactAttribute.Arguments, "bash", "-c", script]);

        await serve.WaitForLineAsync(line => line.StartsWith("Krewe is ready", StringComparison.Ordinal));

        Assert.DoesNotContain("exited with code", serve.Log);
        Assert.Equal(leaves is null ? 1 : 2, serve.Log.Split($"without --kv-disk {_folder.FullName}").Length);
        Assert.Equal(leaves is null, serve.Log.Contains("KV objects on disk", StringComparison.Ordinal));
        if (leaves is not { } free) return;
        Assert.InRange(FreeKiB(serve.Id), free, int.MaxValue);
    }

    /// <summary>Seen from the process' own mounts.</summary>
    private long FreeKiB(int pid) => new DriveInfo($"/proc/{pid}/root{_folder.FullName}").AvailableFreeSpace >> 10;

    /// <summary>Skipped, with the reason, where this user may not mount.</summary>
    private sealed class OwnMountsFactAttribute : FactAttribute
    {
        public OwnMountsFactAttribute(bool isLong = false) => Skip = isLong
            && Environment.GetEnvironmentVariable("KREWE_LONG_TESTS") != "1"
                ? "./krewe test --long runs it"
                : Refusal;

        public static string[] Arguments { get; } = ["--user", "--map-root-user", "--mount"];

        private static string? Refusal { get; } = Try();

        private static string? Try()
        {
            try
            {
                using var process = Process.Start(new ProcessStartInfo(
                    "unshare", [.. Arguments, "mount", "-t", "tmpfs", "tmpfs", Path.GetTempPath()])
                {
                    RedirectStandardError = true,
                })!;
                var said = process.StandardError.ReadToEnd();
                process.WaitForExit();
                return process.ExitCode == 0 ? null : $"no mounts of our own here: {said.Trim()}";
            }
            catch (System.ComponentModel.Win32Exception missing)
            {
                return $"no mounts of our own here: {missing.Message}";
            }
        }
    }
}
