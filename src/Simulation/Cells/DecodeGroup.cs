namespace Krewe.Simulation;

/// <summary>
/// Parts of a lane that only decode. Each step gives all of them one token, so that counting the steps does for all at
/// once what would be a cache miss for each; a part is looked at when it needs a block and before its last token. Its
/// token counts are true at any time (<see cref="CellPart.KnownTokens"/>).
/// </summary>
internal sealed class DecodeGroup(int blockTokens)
{
    // Parts by the step in which they are looked at next, round and round.
    private readonly List<CellPart>[] _due =
        [.. Enumerable.Range(0, Math.Min(blockTokens, 64) + 1).Select(_ => NoParts())];

    /// <summary>Steps so far.</summary>
    public int Steps { get; private set; }

    public int Count { get; private set; }

    /// <summary>Their known tokens together.</summary>
    public long ContextTokens { get; private set; }

    /// <summary>The step that runs gives each of them a token.</summary>
    public bool IsInStep { get; private set; }

    /// <summary>Those whose last token that is, in the order of arrival.</summary>
    public List<CellPart> Ending { get; } = NoParts();

    /// <summary>Parts that may have to be looked at for the next step, each of which needs one block at most.</summary>
    public int DueParts => Due.Count;

    private List<CellPart> Due => _due[Steps % _due.Length];

    /// <summary>Takes in a part that decodes and has its blocks, but for one.</summary>
    public void Enter(CellPart part)
    {
        Count++;
        ContextTokens += part.KnownTokens;
        part.Group = this;
        LookLater(part, 0);
    }

    /// <summary>Lets go of a part, whatever becomes of it.</summary>
    public void Leave(CellPart part)
    {
        Count--;
        ContextTokens -= part.KnownTokens;
        if (!_due[part.DueStep % _due.Length].Remove(part)) Ending.Remove(part);
        part.Group = null;
    }

    /// <summary>
    /// All are in the step that begins; those that may need a block are given to <paramref name="grow"/>.
    /// </summary>
    public void BeginStep(Action<CellPart> grow)
    {
        IsInStep = Count > 0;
        var due = Due;
        if (due.Count == 0) return;
        due.Sort(ByArrival);
        foreach (var part in due)
        {
            grow(part);
            if (part.KnownTokens + 1 == part.EndTokens)
            {
                part.DueStep = Steps;
                Ending.Add(part);
            }
            else LookLater(part, 1);
        }

        due.Clear();
    }

    /// <summary>The step has ended: each that was in it has a token more. <see cref="Ending"/> is to be emptied.
    /// </summary>
    /// <returns>Tokens.</returns>
    public int EndStep()
    {
        if (!IsInStep) return 0;
        IsInStep = false;
        Steps++;
        ContextTokens += Count;
        return Count;
    }

    /// <summary>The step that runs will not end.</summary>
    public void DropStep() => IsInStep = false;

    private void LookLater(CellPart part, int stepsMin)
    {
        var toBlock = (part.HeldBlocks * blockTokens) + 1 - part.KnownTokens;
        var toEnd = part.EndTokens - 1 - part.KnownTokens;
        part.DueStep = Steps + Math.Clamp(Math.Min(toBlock, toEnd), stepsMin, _due.Length - 1);
        _due[part.DueStep % _due.Length].Add(part);
    }

    private static int ByArrival(CellPart a, CellPart b) => a.Arrival.CompareTo(b.Arrival);

    private static List<CellPart> NoParts() => [];
}
