using Krewe.Abstractions;
using Microsoft.Extensions.Logging;

namespace Krewe.Workers.Tests;

/// <summary>What a worker does about a <c>--kv-disk</c> that it cannot have.</summary>
public sealed class TierOpeningTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("krewe-tiers-");
    private readonly FakeRunner _runner = new(8);
    private readonly Lines _lines = new();

    public void Dispose()
    {
        _runner.Dispose();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task A_full_disk_is_said_once_and_the_worker_goes_on_without_it()
    {
        var tiers = await OpenAsync(TooLarge with { Checkpoint = true });

        Assert.Null(tiers);
        var (level, line) = Assert.Single(_lines.All);
        Assert.Equal(LogLevel.Error, level);
        Assert.Contains($"without --kv-disk {_folder.FullName}", line);
        Assert.Matches("bytes more and [0-9,]+ are free", line);
        Assert.Contains("--kv-disk-bytes", line);
        Assert.Empty(_folder.GetFiles("segment-*", SearchOption.AllDirectories));
    }

    [Fact]
    public async Task Host_memory_is_a_tier_without_the_disk()
    {
        await using var tiers = await OpenAsync(TooLarge with { HostBytes = 1 << 20 });

        Assert.NotNull(tiers);
        Assert.Null(tiers.Store.Disk);
        Assert.False(tiers.Checkpoints);
    }

    [Fact]
    public async Task A_disk_with_room_is_used_and_a_wrong_name_is_refused()
    {
        await using (var tiers = await OpenAsync(Disk)) Assert.NotNull(tiers!.Store.Disk);
        var file = Path.Combine(_folder.FullName, "file");
        await File.WriteAllTextAsync(file, "");

        var wrong = await Assert.ThrowsAsync<KreweException>(() => OpenAsync(Disk with { DiskDirectories = [file] }));
        Assert.Equal(ErrorCode.InvalidOptions, wrong.Code);
        Assert.Contains(file, wrong.Message);
    }

    /// <summary>More than is left, by so much that what others delete meanwhile makes no difference.</summary>
    private KvTierOptions TooLarge => Disk with
    {
        DiskBytes = new DriveInfo(_folder.FullName).AvailableFreeSpace + (64L << 30),
    };

    private KvTierOptions Disk => new() { DiskDirectories = [_folder.FullName], DiskBytes = 4 << 20 };

    private async Task<KvTiers?> OpenAsync(KvTierOptions options) =>
        await TierOpening.OpenAsync(options, _runner, "model", events: null, TimeProvider.System, _lines);

    private sealed class Lines : ILogger
    {
        public List<(LogLevel Level, string Text)> All { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter) => All.Add((logLevel, formatter(state, exception)));
    }
}
