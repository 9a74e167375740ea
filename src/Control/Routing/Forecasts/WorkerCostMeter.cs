using Krewe.Control.Steps;

namespace Krewe.Control.Routing;

/// <summary>
/// Learns one worker's step costs from its load reports: between two of them it knows steps and tokens, hence the mean
/// step, and the worker tells how long its steps take.
/// </summary>
public sealed class WorkerCostMeter
{
    /// <summary>Before this many reports with work, the costs compare workers but promise nothing.</summary>
    private const int TrustedAfter = 40;

    private readonly StepTimeModel _model = new();
    private ulong _steps;
    private ulong _prefillTokens;
    private ulong _decodeTokens;

    public StepCosts Costs { get; private set; } = StepCosts.ColdStart;

    /// <summary>Takes a report in; one without new steps, or of a restarted counter, only sets the counters.</summary>
    /// <param name="steps">Steps since the worker's start; the token counts likewise.</param>
    /// <param name="prefillTokens">Prompt tokens computed.</param>
    /// <param name="decodeTokens">Tokens decoded.</param>
    /// <param name="contextTokens">Context of the sequences that decode now.</param>
    /// <param name="stepMs">The worker's moving average of a step's time.</param>
    public void Observe(ulong steps, ulong prefillTokens, ulong decodeTokens, long contextTokens, double stepMs)
    {
        var isNext = steps > _steps && _steps > 0 && prefillTokens >= _prefillTokens && decodeTokens >= _decodeTokens;
        var (newSteps, prefills, decodes) =
            (steps - _steps, prefillTokens - _prefillTokens, decodeTokens - _decodeTokens);
        (_steps, _prefillTokens, _decodeTokens) = (steps, prefillTokens, decodeTokens);
        if (!isNext) return;
        var work = new StepWork
        {
            Rows = (int)((prefills + decodes) / newSteps),
            DecodeSequences = (int)(decodes / newSteps),
            DecodeContextTokens = decodes > 0 ? contextTokens : 0,
        };
        _model.Observe(work, stepMs);
        Costs = StepCosts.Of(_model.Coefficients) with { IsGuess = _model.Observations < TrustedAfter };
    }
}
