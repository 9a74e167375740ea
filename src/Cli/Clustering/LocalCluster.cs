using System.Text.Json;

namespace Krewe.Cli;

/// <summary>What a process of a local cluster is.</summary>
internal enum MemberKind
{
    Redis,
    Silo,
    Worker,
}

/// <summary>One process of a local cluster that was started.</summary>
/// <param name="Name">For instance silo-1.</param>
/// <param name="Kind">What it is.</param>
/// <param name="Pid">Its process id ...</param>
/// <param name="StartedAt">... and when it began, UTC: another process may get the id later.</param>
/// <param name="Address">Where it is reached; null for a worker.</param>
internal sealed record ClusterMember(
    string Name, MemberKind Kind, int Pid, DateTimeOffset StartedAt, string? Address);

/// <summary>
/// The folder of a local cluster: logs, Redis' files, and cluster.json with the processes, which is there while the
/// cluster is.
/// </summary>
internal sealed class LocalCluster(string folder)
{
    private static readonly JsonSerializerOptions Json = new() { WriteIndented = true };

    private string StateFile => Path.Combine(folder, "cluster.json");

    public string RedisFolder => Path.Combine(folder, "redis");

    public string LogOf(string name) => Path.Combine(folder, "logs", $"{name}.log");

    /// <summary>Makes the folders; logs of an earlier cluster go.</summary>
    public void Create()
    {
        var logs = Path.Combine(folder, "logs");
        if (Directory.Exists(logs)) Directory.Delete(logs, recursive: true);
        Directory.CreateDirectory(logs);
        Directory.CreateDirectory(RedisFolder);
    }

    /// <summary>The processes that were started, whether they still run or not.</summary>
    public IReadOnlyList<ClusterMember> Read() => File.Exists(StateFile)
        ? JsonSerializer.Deserialize<List<ClusterMember>>(File.ReadAllText(StateFile), Json) ?? []
        : [];

    public void Write(IReadOnlyList<ClusterMember> members) =>
        File.WriteAllText(StateFile, JsonSerializer.Serialize(members, Json));

    public void Forget() => File.Delete(StateFile);
}
