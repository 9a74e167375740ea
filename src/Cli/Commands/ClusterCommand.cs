using System.CommandLine;

namespace Krewe.Cli;

/// <summary><c>krewe cluster</c>: several silos, Redis and workers on this machine. For the Orleans host.</summary>
internal sealed class ClusterCommand : Command
{
    public ClusterCommand(Terminal terminal)
        : base("cluster", "Run several silos, a Redis and workers on this machine (Orleans host).")
    {
        Add(new ClusterUpCommand(terminal));
        Add(new ClusterDownCommand(terminal));
        Add(new ClusterStatusCommand(terminal));
    }

    public static Option<string?> Folder() => Setting.Text(
        "--dir", "DIR", "Folder for its logs and Redis' files. Default: .krewe/cluster in the current folder.");

    public static LocalCluster Open(string? folder) =>
        new(Path.GetFullPath(folder ?? Path.Combine(".krewe", "cluster")));
}
