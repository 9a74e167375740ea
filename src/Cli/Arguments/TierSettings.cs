using System.CommandLine;
using System.Globalization;
using Krewe.Abstractions;

namespace Krewe.Cli;

/// <summary>
/// The options of a worker's KV tiers. What <see cref="ToArguments"/> writes, <see cref="Read"/> reads.
/// </summary>
internal sealed class TierSettings
{
    private static readonly KvTierOptions Usual = new();

    private readonly UsualOption<long> _hostBytes = Setting.Bytes(
        "--kv-host-bytes", "Host memory of a worker for KV blocks evicted from --kv-memory.", Usual.HostBytes);

    private readonly Option<string?> _disk = Setting.Text(
        "--kv-disk", "DIR,DIR", "Folders for KV objects, one for each SSD; workers of a machine may share them.");

    private readonly UsualOption<long> _diskBytes = Setting.Bytes(
        "--kv-disk-bytes", "Bytes that each worker reserves in --kv-disk.", Usual.DiskBytes);

    private readonly UsualOption<int> _queueDepth = Setting.Count(
        "--kv-disk-queue-depth", "Disk I/Os in flight.", Usual.DiskQueueDepth, 1, 4096);

    private readonly UsualOption<KvEviction> _eviction = Setting.Choice(
        "--kv-disk-evict", "What goes first when the disk tier is full.", Usual.Eviction);

    private readonly Option<bool> _checkpoint = new("--kv-checkpoint")
    {
        Description = "Spill running requests' KV as it fills, so that another worker restores it after a crash.",
    };

    public void AddTo(Command command)
    {
        foreach (var option in (Option[])[_hostBytes, _disk, _diskBytes, _queueDepth, _eviction, _checkpoint])
            command.Add(option);
    }

    public KvTierOptions Read(ParseResult result) => new()
    {
        HostBytes = _hostBytes.Read(result),
        DiskDirectories = result.GetValue(_disk)?.Split(',') ?? [],
        DiskBytes = _diskBytes.Read(result),
        DiskQueueDepth = _queueDepth.Read(result),
        Eviction = _eviction.Read(result),
        Checkpoint = result.GetValue(_checkpoint),
    };

    public static IEnumerable<string> ToArguments(KvTierOptions options)
    {
        if (options.IsOff) return [];
        List<string> arguments = ["--kv-host-bytes", options.HostBytes.ToString(CultureInfo.InvariantCulture)];
        if (options.DiskDirectories.Count > 0)
        {
            arguments.AddRange(
            [
                "--kv-disk", string.Join(',', options.DiskDirectories),
                "--kv-disk-bytes", options.DiskBytes.ToString(CultureInfo.InvariantCulture),
                "--kv-disk-queue-depth", options.DiskQueueDepth.ToString(CultureInfo.InvariantCulture),
                "--kv-disk-evict", Setting.Name(options.Eviction),
            ]);
        }

        if (options.Checkpoint) arguments.Add("--kv-checkpoint");
        return arguments;
    }
}
