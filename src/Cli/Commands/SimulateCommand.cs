using System.CommandLine;

namespace Krewe.Cli;

/// <summary><c>krewe simulate</c>: runs in virtual time, for planners and for proofs.</summary>
internal sealed class SimulateCommand : Command
{
    public SimulateCommand(Terminal terminal)
        : base("simulate", "Simulate a cluster in virtual time.")
    {
        Add(new SimulateDistServeCommand(terminal));
        Add(new SimulateFaultsCommand(terminal));
    }
}
