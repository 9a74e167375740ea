namespace Krewe.Simulation;

/// <summary>
/// One stream of steps on a worker: a worker has one, or, with a split GPU, one for prefill and one for decode.
/// </summary>
internal sealed class CellLane(CellWorker worker, int index, int blockTokens)
{
    public CellWorker Worker { get; } = worker;

    /// <summary>Among all lanes of the cell.</summary>
    public int Index { get; } = index;

    /// <summary>Takes waiting parts in; a split worker's decode lane is given its parts by the other one.</summary>
    public bool Admits { get; init; } = true;

    /// <summary>Share of the GPU's processors; 1 unless it is split.</summary>
    public double Share { get; init; } = 1;

    /// <summary>Most rows of one step.</summary>
    public required int BudgetTokens { get; init; }

    /// <summary>Parts that compute here, in the order of arrival: then the planner need not sort them in each
    /// step.</summary>
    public List<CellPart> Running { get; } = [];

    /// <summary>Those of <see cref="Running"/> that only decode.</summary>
    public DecodeGroup Decoding { get; } = new(blockTokens);

    /// <summary>Those that may enter <see cref="Decoding"/> before the next step.</summary>
    public List<CellPart> Entering { get; } = [];

    /// <summary>Parts of the step that runs now, without <see cref="Decoding"/>.</summary>
    public List<CellPart> Step { get; } = [];

    public bool Busy { get; set; }

    /// <summary>Changes when the worker is lost: the step that ran then never ends.</summary>
    public int Version { get; set; }

    /// <summary>An event that starts a step is scheduled for this instant.</summary>
    public bool Woken { get; set; }

    public long BusyNs { get; set; }

    public long Steps { get; set; }

    /// <summary>Takes the part into <see cref="Running"/>.</summary>
    public void Enter(CellPart part)
    {
        var place = Running.Count;
        while (place > 0 && Running[place - 1].Arrival > part.Arrival) place--;
        Running.Insert(place, part);
    }

    /// <summary>Takes the part out, wherever it is; the step that runs goes on without it.</summary>
    public void Remove(CellPart part)
    {
        Running.Remove(part);
        Entering.Remove(part);
        if (part.Group == Decoding) Decoding.Leave(part);
        if (part.Rows > 0) Step.Remove(part);
    }
}
