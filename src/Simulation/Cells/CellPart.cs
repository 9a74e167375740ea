using Krewe.Control.Kv;

namespace Krewe.Simulation;

/// <summary>Where a part of a request is on its worker.</summary>
internal enum PartStage
{
    /// <summary>Not on a worker, or no longer.</summary>
    None,

    /// <summary>Queued; holds no block.</summary>
    Waiting,

    /// <summary>Holds blocks; its KV is on its way.</summary>
    Receiving,

    /// <summary>Holds blocks and computes.</summary>
    Running,

    /// <summary>Prefill is done; holds its blocks until the puller has them.</summary>
    Holding,
}

/// <summary>
/// What one worker does of a request: the sequence that the step planner sees. It repeats what every step reads of its
/// request and its block table: with a thousand workers each of those is a miss of the cache.
/// </summary>
internal sealed class CellPart
{
    private DecodeGroup? _group;

    // Without the group's steps.
    private int _knownTokens;
    private int _computedTokens;

    public CellRequest Request { get; set; } = null!;

    public PartStage Stage { get; set; }

    public CellWorker Worker { get; set; } = null!;

    public BlockTable Blocks { get; } = new();

    /// <summary>Blocks in <see cref="Blocks"/>, while it is viewed.</summary>
    public int HeldBlocks { get; set; }

    /// <summary>The request's prompt.</summary>
    public int PromptTokens { get; private set; }

    /// <summary>Its prompt and its whole output.</summary>
    public int EndTokens { get; private set; }

    /// <summary>Full prompt blocks that the prefix cache can know.</summary>
    public int HashedBlocks { get; private set; }

    /// <summary>Output tokens that are there.</summary>
    public int SampledTokens => KnownTokens - PromptTokens;

    /// <summary>Place in the order of dispatch, over the whole cell.</summary>
    public long Arrival { get; set; }

    public int KnownTokens
    {
        get => _knownTokens + (_group?.Steps ?? 0);
        set => _knownTokens = value - (_group?.Steps ?? 0);
    }

    public int ComputedTokens
    {
        get => _computedTokens + (_group?.Steps ?? 0);
        set => _computedTokens = value - (_group?.Steps ?? 0);
    }

    /// <summary>Set while it does nothing but decode; the group's steps count as its tokens.</summary>
    public DecodeGroup? Group
    {
        get => _group;
        set
        {
            var (known, computed) = (KnownTokens, ComputedTokens);
            _group = value;
            (KnownTokens, ComputedTokens) = (known, computed);
        }
    }

    /// <summary>The group's step in which it is looked at next.</summary>
    public int DueStep { get; set; }

    /// <summary>Blocks that the prefix cache knows: prefix hits, and what was inserted since.</summary>
    public int InsertedBlocks { get; set; }

    /// <summary>Blocks that the prefix cache gave it.</summary>
    public int HitBlocks { get; set; }

    /// <summary>Blocks that were sent here, or came from the cache, so far.</summary>
    public int SentBlocks { get; set; }

    /// <summary>Prompt tokens still counted in <see cref="CellWorker.PendingTokens"/>.</summary>
    public int PendingTokens { get; set; }

    public double PendingMs { get; set; }

    public bool Grows { get; set; }

    /// <summary>Its KV comes from the other part's worker.</summary>
    public bool Pulls { get; set; }

    /// <summary>Counted in <see cref="CellWorker.DecodingParts"/> and its context.</summary>
    public bool Decodes { get; set; }

    /// <summary>Rows of the step that runs; 0 = not in it.</summary>
    public int Rows { get; set; }

    public void Begin(CellRequest request, CellWorker worker, long arrival, bool grows, bool pulls)
    {
        Request = request;
        Worker = worker;
        Stage = PartStage.Waiting;
        Arrival = arrival;
        PromptTokens = request.PromptTokens;
        EndTokens = request.PromptTokens + request.OutputTokens;
        HashedBlocks = request.Hashes.Length;
        KnownTokens = request.PromptTokens + request.SampledTokens;
        ComputedTokens = HeldBlocks = InsertedBlocks = HitBlocks = SentBlocks = PendingTokens = Rows = 0;
        PendingMs = 0;
        Decodes = false;
        Grows = grows;
        Pulls = pulls;
    }
}
