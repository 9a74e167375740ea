using System.Numerics;
using Krewe.Control.Kv;

namespace Krewe.Simulation;

/// <summary>
/// A request in flight. Reused: a cell holds as many as are in flight at once, whatever the trace's length.
/// </summary>
internal sealed class CellRequest(int slot)
{
    private PrefixHash[] _hashes = [];
    private int _hashCount;

    public int Slot { get; } = slot;

    /// <summary>Its place in the trace.</summary>
    public int Index { get; private set; }

    public long ArrivalNs { get; private set; }

    public int PromptTokens { get; private set; }

    public int OutputTokens { get; private set; }

    public int Tenant { get; private set; }

    /// <summary>Output tokens of earlier attempts; the attempt under way counts in its parts.</summary>
    public int SampledTokens { get; set; }

    public long FirstTokenNs { get; set; }

    public int PrefixHitTokens { get; set; }

    public int Preemptions { get; set; }

    /// <summary>The part that prefills; the only one without a handoff.</summary>
    public CellPart Prefill { get; } = new();

    /// <summary>The part that pulls the KV and decodes.</summary>
    public CellPart Decode { get; } = new();

    public bool HandsOff { get; set; }

    /// <summary>Grows with every attempt, over all requests of this slot: a commit of an earlier one is void.</summary>
    public int Attempt { get; set; }

    /// <summary>It was taken in once and lost its workers.</summary>
    public bool Continues { get; set; }

    /// <summary>Times that nobody could go on with it, in a row.</summary>
    public int Refusals { get; set; }

    /// <summary>Hashes of the prompt's full blocks.</summary>
    public ReadOnlySpan<PrefixHash> Hashes => _hashes.AsSpan(0, _hashCount);

    /// <inheritdoc cref="Hashes"/>
    public ReadOnlyMemory<PrefixHash> HashMemory => _hashes.AsMemory(0, _hashCount);

    public void Begin(int index, in TraceRequest request, Trace trace, int blockTokens, long arrivalNs)
    {
        Index = index;
        ArrivalNs = arrivalNs;
        PromptTokens = request.PromptTokens;
        OutputTokens = request.OutputTokens;
        Tenant = request.Tenant;
        SampledTokens = PrefixHitTokens = Preemptions = Refusals = 0;
        FirstTokenNs = 0;
        HandsOff = Continues = false;
        Hash(request, trace, blockTokens);
    }

    /// <summary>
    /// A block's hash follows from the trace's id that covers its last token, and its place under it: equal prefixes
    /// give equal hashes whatever the block size, as long as it divides the trace's.
    /// </summary>
    private void Hash(in TraceRequest request, Trace trace, int blockTokens)
    {
        _hashCount = request.HashCount == 0 ? 0 : request.PromptTokens / blockTokens;
        if (_hashes.Length < _hashCount)
            Array.Resize(ref _hashes, (int)BitOperations.RoundUpToPowerOf2((uint)_hashCount));
        for (var block = 0; block < _hashCount; block++)
        {
            var lastToken = ((block + 1) * blockTokens) - 1;
            var id = trace.Hashes[request.FirstHash + Math.Min(lastToken / trace.HashTokens, request.HashCount - 1)];
            _hashes[block] = new PrefixHash(new UInt128(SeededRandom.Mix((ulong)id + 1), (ulong)block));
        }
    }
}
