using Krewe.Abstractions;
using Krewe.Control.Kv;
using Krewe.Control.Routing;

namespace Krewe.Simulation;

/// <summary>
/// One simulated worker: the production block pool and prefix cache, its queue and lanes. The step planner drives it.
/// </summary>
internal sealed class CellWorker
{
    public CellWorker(int index, WorkerRole role, int blocks)
    {
        Index = index;
        Role = role;
        Pool = new BlockPool(blocks);
        Cache = new PrefixCache(Pool);
    }

    public int Index { get; }

    public WorkerRole Role { get; }

    public BlockPool Pool { get; private set; }

    public PrefixCache Cache { get; private set; }

    /// <summary>False while its machine is gone.</summary>
    public bool IsUp { get; set; } = true;

    /// <summary>How routing sees it.</summary>
    public RouteWorker Route { get; set; } = null!;

    /// <summary>Its streams of steps; a split worker's first one prefills, its second decodes.</summary>
    public CellLane[] Lanes { get; set; } = [];

    public PartQueue Waiting { get; } = new();

    /// <summary>Parts whose KV is on its way here.</summary>
    public int Receiving { get; set; }

    /// <summary>Prompt tokens yet to be computed here, waiting and running.</summary>
    public long PendingTokens { get; set; }

    /// <summary>The same in predicted ms.</summary>
    public double PendingMs { get; set; }

    /// <summary>Context of everything that decodes here or will once its KV is here.</summary>
    public long ContextTokens { get; set; }

    public int DecodingParts { get; set; }

    public long ReportedNs { get; set; } = long.MinValue / 2;

    public long HitTokens { get; set; }

    /// <summary>A new process: nothing is cached.</summary>
    public void Restart()
    {
        Pool = new BlockPool(Pool.TotalBlocks);
        Cache = new PrefixCache(Pool);
        IsUp = true;
        ReportedNs = long.MinValue / 2;
    }

    public int RunningParts
    {
        get
        {
            var parts = 0;
            foreach (var lane in Lanes) parts += lane.Running.Count;
            return parts;
        }
    }
}
