using System.Collections.Immutable;
using System.Globalization;

namespace Krewe.Control.Cluster;

/// <summary>
/// Sizes the prefill and the decode pool apart, by SLO attainment and utilisation; before it asks for a new worker for
/// one phase it takes one from the other, when that has one to spare (Mooncake, Dynamo, EPD). Pure: the same samples
/// give the same actions.
/// </summary>
public sealed class PoolScaler(PoolPolicy policy)
{
    private readonly Trend _prefill = new();
    private readonly Trend _decode = new();

    /// <summary>Takes the newest sample in; actions to carry out now, usually none.</summary>
    public ImmutableArray<PoolAction> Observe(PoolSample sample)
    {
        if (sample.LastJoined is { } joined && sample.At - joined < policy.ColdStart) return [];
        _prefill.Take(Wanted(sample.Prefill), sample.Prefill.Workers);
        _decode.Take(Wanted(sample.Decode), sample.Decode.Workers);
        var grow = Grows(_prefill, sample.At) ? PoolPhase.Prefill
            : Grows(_decode, sample.At) ? PoolPhase.Decode
            : (PoolPhase?)null;
        if (grow is { } needy && Spares(Other(needy), sample))
        {
            foreach (var trend in (Trend[])[_prefill, _decode]) trend.Changed(sample.At);
            return
            [
                new SwitchRole(Other(needy), needy,
                    $"{Describe(needy, sample)}; {Describe(Other(needy), sample)} and can spare one"),
            ];
        }

        var actions = ImmutableArray.CreateBuilder<PoolAction>(2);
        foreach (var phase in (PoolPhase[])[PoolPhase.Prefill, PoolPhase.Decode])
        {
            var trend = TrendOf(phase);
            if (!Grows(trend, sample.At) && !Shrinks(trend, sample.At)) continue;
            var from = Of(phase, sample).Workers;
            actions.Add(new ScalePhase(phase, from, trend.Wanted, Describe(phase, sample)));
            trend.Changed(sample.At);
        }

        return actions.ToImmutable();
    }

    /// <summary>
    /// Late requests: as many as bring utilisation to the target, one more at least. In time: as many as the target
    /// needs, but one at a time, since what a smaller pool would be like is not known, only computed.
    /// </summary>
    private int Wanted(PhaseSample phase)
    {
        var needed = (int)Math.Ceiling(phase.Workers * phase.Busy / policy.BusyTarget);
        var wanted = phase.Requests > 0 && phase.Workers == 0 ? Math.Max(1, needed)
            : phase.Attainment < policy.AttainmentTarget ? Math.Max(phase.Workers + 1, needed)
            : needed < phase.Workers ? phase.Workers - 1
            : phase.Workers;
        return Math.Clamp(wanted, policy.WorkersMin, policy.WorkersMax);
    }

    private bool Grows(Trend trend, DateTimeOffset at) =>
        trend.Direction > 0 && trend.InRow >= policy.SamplesInRow && trend.Since(at) >= policy.CoolDownAfterGrowth;

    private bool Shrinks(Trend trend, DateTimeOffset at) =>
        trend.Direction < 0 && trend.InRow >= policy.SamplesInRow && trend.Since(at) >= policy.CoolDownBeforeShrinking;

    /// <summary>In time, and still within the utilisation target with one worker less.</summary>
    private bool Spares(PoolPhase which, PoolSample sample)
    {
        var phase = Of(which, sample);
        return phase.Workers > Math.Max(1, policy.WorkersMin)
            && phase.Attainment >= policy.AttainmentTarget
            && phase.Busy * phase.Workers / (phase.Workers - 1) <= policy.BusyTarget;
    }

    private string Describe(PoolPhase which, PoolSample sample)
    {
        var phase = Of(which, sample);
        return string.Create(CultureInfo.InvariantCulture,
            $"{which.ToString().ToLowerInvariant()}: {phase.Met} of {phase.Requests} requests in time (target "
            + $"{policy.AttainmentTarget:0%}), {phase.Workers} workers {phase.Busy:0%} busy");
    }

    private Trend TrendOf(PoolPhase phase) => phase == PoolPhase.Prefill ? _prefill : _decode;

    private static PhaseSample Of(PoolPhase phase, PoolSample sample) =>
        phase == PoolPhase.Prefill ? sample.Prefill : sample.Decode;

    private static PoolPhase Other(PoolPhase phase) =>
        phase == PoolPhase.Prefill ? PoolPhase.Decode : PoolPhase.Prefill;

    /// <summary>What the newest samples of one phase say.</summary>
    private sealed class Trend
    {
        private DateTimeOffset? _changed;

        public int Wanted { get; private set; }

        public int Direction { get; private set; }

        public int InRow { get; private set; }

        public void Take(int wanted, int workers)
        {
            var direction = wanted.CompareTo(workers);
            InRow = direction == Direction ? InRow + 1 : 1;
            (Direction, Wanted) = (direction, wanted);
        }

        public void Changed(DateTimeOffset at) => (_changed, InRow) = (at, 0);

        /// <summary>Since the last change; the first may come at once.</summary>
        public TimeSpan Since(DateTimeOffset at) => _changed is { } changed ? at - changed : TimeSpan.MaxValue;
    }
}
