using System.Runtime.InteropServices;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Control.Handoff;
using Krewe.Control.Kv;
using Krewe.Control.Steps;
using Krewe.Kernels;
using SequenceKey = Krewe.Abstractions.SequenceKey;

namespace Krewe.Workers;

/// <summary>
/// One token stream being computed on this worker. Owned by the engine thread. Tokens are only ever appended; losing
/// blocks (preemption) never loses a token.
/// </summary>
internal sealed class Sequence
{
    /// <summary>Room made for an answer at the start, so that a step makes none.</summary>
    private const int ReservedOutputTokens = 4096;

    private readonly List<int> _tokens;
    private readonly int[] _stopTokens;

    // Of the newest tokens, those that were drawn since this sequence began here or at its source.
    private readonly List<TokenLogprobs> _logprobs = [];

    private readonly int _minOutputTokens;

    public Sequence(
        StartSequence start, SamplerSettings sampling, ISequenceOwner owner, long arrival, EngineSettings settings,
        int blockTokens)
    {
        Key = start.Key.FromWire();
        WireKey = Key.ToWire();
        (Part, Owner, Arrival) = (start.Part, owner, arrival);
        (Priority, Sampling, PullSource) = (start.Priority, sampling, start.Source);
        TopLogprobs = start.Sampling.HasTopLogprobs ? (int)start.Sampling.TopLogprobs : null;
        PromptLogprobs = start.Sampling.HasPromptLogprobs && Part != SequencePart.Decode
            ? (int)start.Sampling.PromptLogprobs
            : null;
        (PrefixSource, PrefixSourceTokens) = (start.PrefixSource, (int)Math.Min(start.PrefixTokens, int.MaxValue));
        LeaseLife = TimeSpan.FromMilliseconds(start.LeaseMs);
        PromptCount = start.PromptTokens.Count;
        OutputMax = (int)Math.Min(start.MaxOutputTokens, int.MaxValue);
        _minOutputTokens = (int)Math.Min(start.MinOutputTokens, int.MaxValue);
        _tokens = new List<int>(PromptCount + Math.Min(OutputMax, ReservedOutputTokens));
        foreach (var token in start.PromptTokens) _tokens.Add((int)token);
        foreach (var token in start.OutputTokens) _tokens.Add((int)token);
        var stops = start.StopTokens.Select(token => (int)token);
        _stopTokens = [.. start.IgnoreEos ? stops.Except(settings.EndTokens) : stops.Union(settings.EndTokens)];
        Constraint = ReadConstraint(start.Sampling, settings);
        if (settings.PrefixCache)
            Chain = new PrefixChain(PrefixHash.Root(settings.ModelFingerprint, start.PrefixSalt), blockTokens);
        var blocks = (_tokens.Capacity + blockTokens - 1) / blockTokens;
        Blocks.Reserve(blocks);
        Chain?.Reserve(blocks);
        if (Part == SequencePart.Prefill)
            Source = HandoffSource.Begin((_tokens.Count + blockTokens - 1) / blockTokens);
    }

    public SequenceKey Key { get; }

    /// <summary>The key as messages carry it; never changed.</summary>
    public Krewe.Abstractions.Wire.SequenceKey WireKey { get; }

    public SequencePart Part { get; }

    public ISequenceOwner Owner { get; }

    /// <summary>Place in the order of arrival; kept through preemption.</summary>
    public long Arrival { get; }

    public int Priority { get; }

    /// <summary>When it arrived on the engine's clock, ms; kept through preemption.</summary>
    public long ArrivedMs { get; set; }

    /// <summary>What its prefill was expected to take when it arrived, ms; kept through preemption.</summary>
    public long ExpectedMs { get; set; }

    /// <summary>Its place in the step planner's order.</summary>
    public long KeyMs => StepOrder.KeyMs(Priority, ArrivedMs, ExpectedMs);

    public SamplerSettings Sampling { get; }

    /// <summary>Alternatives wanted beside each token's log-probability; null = no log-probabilities at all.</summary>
    public int? TopLogprobs { get; }

    /// <summary>Alternatives wanted beside each prompt token's log-probability; null = none at all.</summary>
    public int? PromptLogprobs { get; }

    /// <summary>Prompt tokens whose log-probabilities were told, the first counted: nothing comes before it.</summary>
    public int ScoredPromptTokens { get; set; } = 1;

    /// <summary>Prompt rows still have to be computed for their log-probabilities, whatever the cache has.</summary>
    public bool ScoresPrompt => PromptLogprobs is not null && ScoredPromptTokens < PromptCount;

    /// <summary>What the output must look like; null = anything.</summary>
    public ITokenConstraint? Constraint { get; }

    /// <summary>Decode part: whom to pull from; a part that migrates: who runs the sequence.</summary>
    public DataAddress? PullSource { get; }

    public TimeSpan LeaseLife { get; }

    public SequenceStage Stage { get; set; } = SequenceStage.Waiting;

    /// <summary>Prompt, then output.</summary>
    public ReadOnlySpan<int> Tokens => CollectionsMarshal.AsSpan(_tokens);

    public int KnownTokens => _tokens.Count;

    public int PromptCount { get; }

    public int OutputCount => _tokens.Count - PromptCount;

    public int OutputMax { get; }

    /// <summary>Tokens with KV in <see cref="Blocks"/>.</summary>
    public int ComputedTokens { get; set; }

    /// <summary>Blocks that the prefix cache knows already, from the first.</summary>
    public int InsertedBlocks { get; set; }

    public BlockTable Blocks { get; } = new();

    /// <summary>Null when the prefix cache is off.</summary>
    public PrefixChain? Chain { get; }

    /// <summary>The sequence decodes here and so needs more and more blocks.</summary>
    public bool Grows => Part != SequencePart.Prefill;

    /// <summary>
    /// Its KV must be pulled before it can run. A pulled sequence that is preempted later recomputes instead.
    /// </summary>
    public bool Pulls { get; set; }

    /// <summary>Its KV came from another worker: prefill is that worker's to report.</summary>
    public bool WasPulled { get; set; }

    /// <summary>Decode part: blocks that were here before the pull.</summary>
    public BlockRuns PresentBlocks { get; set; } = BlockRuns.None;

    /// <summary>Prefill part: the step under way that fills blocks of this sequence; null between steps.</summary>
    public StepProgress? Progress { get; set; }

    /// <summary>Tokens that the prefix cache gave at the newest admission.</summary>
    public int PrefixHitTokens { get; set; }

    /// <summary>The running pull, prefix fetch or migration to here, to be cancelled; null before and after.</summary>
    public IActivePull? ActivePull { get; set; }

    /// <summary>Blocks that lower tiers brought, or are bringing, at the newest admission.</summary>
    public int RestoredBlocks { get; set; }

    /// <summary>The restore that writes some of its blocks; null before and after.</summary>
    public SequenceRestore? Restore { get; set; }

    /// <summary>A worker that is said to hold the prefix; null when there is none, or it was tried.</summary>
    public DataAddress? PrefixSource { get; set; }

    /// <summary>Tokens of the prefix that it holds.</summary>
    public int PrefixSourceTokens { get; }

    /// <summary>Prefill part: this side of the handoff.</summary>
    public HandoffSource? Source { get; set; }

    /// <summary>Prefill part: who pulls; null until one arrived.</summary>
    public IPullerLink? Puller { get; set; }

    /// <summary>
    /// When the hold on the blocks ends unless renewed, on the engine's clock; null while no lease runs.
    /// </summary>
    public TimeSpan? LeaseEnd { get; set; }

    /// <summary>The first token's log-probabilities, for the puller.</summary>
    public TokenLogprobs? FirstLogprobs { get; set; }

    /// <summary>Prefill was reported as started: once, however often it is preempted.</summary>
    public bool PrefillReported { get; set; }

    /// <summary>Output tokens that came about since the start, a pulled first one included.</summary>
    public int SampledCount { get; set; }

    /// <summary>True while an answer may not stop yet: stop tokens are masked.</summary>
    public ReadOnlySpan<int> MaskedTokens => OutputCount < _minOutputTokens ? _stopTokens : [];

    public void Append(SampledToken token)
    {
        _tokens.Add(token.Token);
        Constraint?.Advance(token.Token);
        if (token.Logprobs is { } logprobs) _logprobs.Add(logprobs);
    }

    /// <summary>
    /// What <paramref name="count"/> output tokens from <paramref name="first"/> on were drawn with, for a worker that
    /// takes the sequence over; nothing when the request wants none.
    /// </summary>
    public IEnumerable<TokenLogprobs> LogprobsOf(int first, int count)
    {
        var known = OutputCount - _logprobs.Count;
        return _logprobs.Count == 0 || first < known ? [] : _logprobs.GetRange(first - known, count);
    }

    /// <summary>Whether the newest token ends the stream, and how.</summary>
    public FinishReason FinishAfterNewest(int contextMax)
    {
        if (Array.IndexOf(_stopTokens, _tokens[^1]) >= 0 && OutputCount > _minOutputTokens) return FinishReason.Stop;
        return OutputCount >= OutputMax || KnownTokens >= contextMax ? FinishReason.Length : FinishReason.Unspecified;
    }

    private ITokenConstraint? ReadConstraint(SamplingParameters sampling, EngineSettings settings)
    {
        var (specification, limit) = (sampling.Constraint, sampling.ThoughtLimit);
        if (specification.Length == 0 && limit.Length == 0) return null;
        if (settings.Constraints is not { } factory)
        {
            throw new KreweException(
                ErrorCode.UnsupportedParameter, "This worker cannot constrain an output.", "response_format");
        }

        var form = specification.Length == 0 ? null : factory.Create(specification, _stopTokens, OutputMax);
        var constraint = limit.Length == 0 ? form! : factory.Limit(limit, form);
        foreach (var token in Tokens[PromptCount..]) constraint.Advance(token);
        return constraint;
    }
}
