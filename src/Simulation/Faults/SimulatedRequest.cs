using Krewe.Control.Requests;

namespace Krewe.Simulation.Faults;

/// <summary>One request on the simulated silo: its machine's state and its owner's token stream.</summary>
internal sealed class SimulatedRequest(string id, int[] prompt, int maxOutputTokens)
{
    public string Id { get; } = id;

    public int[] Prompt { get; } = prompt;

    public int MaxOutputTokens { get; } = maxOutputTokens;

    public RequestState State { get; set; } = RequestState.New;

    /// <summary>All tokens of the undisturbed run.</summary>
    public int[] Expected { get; } = ReferenceStream.Expected(prompt, maxOutputTokens, FaultWorld.BlockTokens);

    /// <summary>Tokens that the owner has accepted.</summary>
    public List<int> Stream { get; } = [];

    /// <summary>Only tokens of this epoch are taken.</summary>
    public int StreamEpoch { get; set; }

    /// <summary>The one epoch that may take its place with a migration's commit; null = none.</summary>
    public int? Successor { get; set; }

    /// <summary>How often the machine entered a terminal phase: must become exactly 1.</summary>
    public int Endings { get; set; }
}
