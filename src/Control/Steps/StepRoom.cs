namespace Krewe.Control.Steps;

/// <summary>
/// What is left of a step while it is planned: rows, blocks and, where decodes run, time. The token budget of
/// Sarathi-Serve, but derived anew in each step from the inter-token SLO and the measured step times, for the very
/// chunk that is asked for: a chunk far into a prompt attends to more and so has fewer rows.
/// </summary>
internal struct StepRoom
{
    /// <summary>The first prefill of a step always gets these rows, or an SLO that cannot be met would stop all
    /// prefills. Also the least that another one joins with.</summary>
    private const int LeastChunkRows = 16;

    /// <summary>Where decodes alone take longer than the SLO, prefills still get this share of their time.</summary>
    private const double LeastPrefillShare = 0.5;

    /// <summary>The step aims below the SLO by this many spreads of the model's error.</summary>
    private const double SafetySpreads = 2;

    /// <summary>Share of the best throughput at which a step counts as full (L_m).</summary>
    private const double SaturationShare = 0.9;

    private readonly StepTimeCoefficients? _time;
    private readonly double? _sloMs;
    private readonly int? _saturatingRows;
    private double? _targetMs;
    private StepWork _work;
    private int _prefillRows;

    public StepRoom(StepSnapshot snapshot)
    {
        Tokens = snapshot.BudgetTokens;
        Blocks = snapshot.AvailableBlocks;
        _time = snapshot.StepTime;
        _sloMs = snapshot.InterTokenSloMs / (1 + (SafetySpreads * snapshot.StepTimeSpread));
        _saturatingRows = _time?.SaturatingRows(SaturationShare);
    }

    /// <summary>Rows left.</summary>
    public int Tokens { get; private set; }

    /// <summary>Blocks left.</summary>
    public int Blocks { get; set; }

    public void TakeDecode(int contextTokens)
    {
        Tokens--;
        _work = _work.WithDecode(contextTokens);
    }

    /// <summary>No more decodes come: what they leave of the step is for prefills.</summary>
    public void EndDecodes()
    {
        if (_time is { } time && _sloMs is { } slo && _work.DecodeSequences > 0)
            _targetMs = Math.Max(slo, time.Milliseconds(_work) * (1 + LeastPrefillShare));
    }

    /// <summary>
    /// Rows of the next prefill's chunk, 0 = no more prefills in this step. The first may fill the step; further ones
    /// join until it is saturated (L_m, DistServe section 4.3): beyond that they would only make each other later. So
    /// would a first one of the batch lane: who arrives meanwhile waits for the step's end.
    /// </summary>
    public readonly int ChunkRows(int computedTokens, int remaining, bool isLeisure)
    {
        var first = _prefillRows == 0;
        var rows = Math.Min(remaining, Tokens);
        if ((!first || isLeisure) && _saturatingRows is { } full) rows = Math.Min(rows, full - _prefillRows);
        if (_targetMs is { } target) rows = _time!.Value.RowsWithin(target, _work, computedTokens, Math.Max(rows, 0));
        var least = Math.Min(remaining, Math.Min(LeastChunkRows, Tokens));
        if (rows >= least) return rows;
        return first ? least : 0;
    }

    public void TakePrefill(int computedTokens, int rows)
    {
        Tokens -= rows;
        _prefillRows += rows;
        _work = _work.WithPrefill(computedTokens, rows);
    }
}
