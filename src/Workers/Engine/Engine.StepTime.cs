using Krewe.Control.Steps;

namespace Krewe.Workers;

/// <summary>What steps take: measured, learnt, and shown to the planner.</summary>
internal sealed partial class Engine
{
    private readonly StepTimeModel _stepTime = new();

    /// <summary>Before anything was measured the token budget alone limits a step.</summary>
    private void ShowStepTime()
    {
        _snapshot.StepTime = _stepTime.Observations > 0 ? _stepTime.Coefficients : null;
        _snapshot.StepTimeSpread = _stepTime.Spread;
        _snapshot.InterTokenSloMs = _settings.InterTokenSlo?.TotalMilliseconds;
        _snapshot.Spill = _tiers?.Rates;
        if (_snapshot.StepTime is { } costs) _kv.ShowCosts(costs);
    }

    /// <summary>
    /// What prefill has to compute of a new sequence, in milliseconds; 0 while too little is known: all that comes
    /// within this time passes it, so that a long prompt behind a cold first step could wait for half a minute.
    /// </summary>
    private long ExpectedPrefillMs(Sequence sequence)
    {
        if (sequence.Pulls || !_stepTime.IsTrusted) return 0;
        var hit = _kv.Peek(sequence).Blocks * _kv.BlockTokens;
        return (long)_stepTime.Coefficients.PrefillMs(hit, sequence.KnownTokens - hit, _settings.StepBudgetTokens);
    }

    private StepWork WorkOfPlanned()
    {
        var work = default(StepWork);
        foreach (var part in _planned)
        {
            var (sequence, rows) = (part.Sequence, part.Rows);
            work = rows == 1 && sequence.KnownTokens - sequence.ComputedTokens == 1
                ? work.WithDecode(sequence.KnownTokens)
                : work.WithPrefill(sequence.ComputedTokens, rows);
        }

        return work;
    }
}
