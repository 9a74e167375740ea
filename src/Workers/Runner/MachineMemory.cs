using System.Globalization;

namespace Krewe.Workers;

/// <summary>What this machine, or the container, can give a process.</summary>
internal static class MachineMemory
{
    private const string Machine = "/proc/meminfo";

    /// <summary>Control groups, version 2 and 1.</summary>
    private static readonly string[] Limits =
        ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];

    /// <summary>
    /// Memory and swap, and no more than the container's limit; null where the system does not tell. Not the garbage
    /// collector's figure: that is a share of the container's, or a limit of managed memory alone.
    /// </summary>
    public static long? TotalBytes()
    {
        try
        {
            if (!File.Exists(Machine)) return null;
            var bytes = File.ReadLines(Machine)
                .Where(line => line.StartsWith("MemTotal:", StringComparison.Ordinal)
                    || line.StartsWith("SwapTotal:", StringComparison.Ordinal))
                .Sum(line => 1024 * long.Parse(
                    line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture));
            foreach (var file in Limits.Where(File.Exists))
            {
                if (long.TryParse(File.ReadAllText(file).Trim(), CultureInfo.InvariantCulture, out var limit))
                    bytes = Math.Min(bytes, limit);
            }

            return bytes > 0 ? bytes : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException)
        {
            return null;
        }
    }
}
