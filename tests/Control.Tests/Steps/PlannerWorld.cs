using Krewe.Control.Kv;
using Krewe.Control.Steps;

namespace Krewe.Control.Tests.Steps;

/// <summary>A planner under test: the real one, or one with a mistake built in.</summary>
internal delegate void Planner(StepSnapshot snapshot, StepPlan plan);

/// <summary>A rule of the planner was broken.</summary>
internal sealed class BrokenRuleException(string rule) : Exception(rule);

/// <summary>
/// Carries out plans on a real pool in virtual time, with arrivals drawn from a seed, and checks each plan: it can be
/// carried out, decodes are in it, its time is within the target, and everything ends.
/// </summary>
internal sealed class PlannerWorld(Planner planner, int seed)
{
    private const int BlockTokens = 4;
    private const int Blocks = 24;
    private const int SequencesMax = 6;

    /// <summary>Long over what any of the drawn loads needs.</summary>
    private const int StepsMax = 20_000;

    /// <summary>Some tens of seconds of virtual time: several times the head start.</summary>
    private const int FloodStepsMax = 2000;

    public static readonly StepTimeCoefficients Time = new()
    {
        StepMs = 4,
        RowMs = 1,
        DecodeSequenceMs = 0.5,
        ContextTokenMs = 0.01,
        PairMs = 0.01,
    };

    private readonly Random _random = new(seed);
    private readonly BlockPool _pool = new(Blocks);
    private readonly List<Item> _items = [];
    private readonly StepPlan _plan = new();
    private StepSnapshot _snapshot = new();
    private double _nowMs;

    public int Preemptions { get; private set; }

    public int Spills { get; private set; }

    public int TimedSteps { get; private set; }

    /// <summary>Random arrivals; ends when all have ended.</summary>
    public void Run()
    {
        const int Arrivals = 40;
        var budget = _random.Next(2, 40);
        double? sloMs = _random.Next(3) == 0 ? null : _random.Next(8, 60);
        for (var step = 0; step < StepsMax; step++)
        {
            if (_items.Count < Arrivals && _random.Next(2) == 0)
                Arrive(_random.Next(1, 60), _random.Next(1, 30), _random.Next(3));
            Step(budget, sloMs);
            if (_items.Count == Arrivals && _items.TrueForAll(item => item.Ended)) return;
        }

        throw new BrokenRuleException("not all sequences ended");
    }

    /// <summary>
    /// One sequence of priority 0 against arrivals of priority 1 that alone would keep the worker busy for ever.
    /// Returns the milliseconds until it ended.
    /// </summary>
    public double RunAgainstFlood()
    {
        for (var i = 0; i < SequencesMax; i++) Arrive(16, 24, priority: 1);
        Arrive(40, 4, priority: 0);
        var patient = _items[^1];
        for (var step = 0; step < FloodStepsMax && !patient.Ended; step++)
        {
            while (_items.Count(item => !item.Ended) < 2 * SequencesMax) Arrive(16, 24, priority: 1);
            Step(32, 30);
        }

        if (!patient.Ended) throw new BrokenRuleException("a sequence starved");
        return _nowMs - patient.ArrivedMs;
    }

    private void Arrive(int known, int output, int priority) => _items.Add(new Item
    {
        Known = known,
        End = Math.Min(known + output, BlockTokens * Blocks),
        Priority = priority,
        ArrivedMs = (long)_nowMs,
        ExpectedMs = (long)Time.PrefillMs(0, known, 32),
    });

    private void Step(int budget, double? sloMs)
    {
        TakeSnapshot(budget, sloMs);
        var decodes = _snapshot.Running.Where(s => s.KnownTokens - s.ComputedTokens == 1).ToArray();
        planner(_snapshot, _plan);
        foreach (var handle in _plan.Spilled) Rule(_plan.Preempted.Contains(handle), "spills what is not preempted");
        foreach (var handle in _plan.Preempted)
        {
            Rule(_items[handle].Table.Count > 0, "preempts what does not run");
            _pool.Release(_items[handle].Table);
            _items[handle].Computed = 0;
        }

        Preemptions += _plan.Preempted.Count;
        Spills += _plan.Spilled.Count;
        CheckDecodes(decodes);
        CheckTime(budget, sloMs);
        foreach (var planned in _plan.Continued.Concat(_plan.Admitted)) Compute(planned);
        _pool.CheckIntegrity(_items.Select(item => item.Table));
    }

    private void CheckDecodes(StepSequence[] decodes)
    {
        var kept = decodes.Where(decode => !_plan.Preempted.Contains(decode.Handle)).ToArray();
        var first = _plan.Continued.Take(kept.Length).Select(rows => (rows.Handle, rows.Rows)).ToHashSet();
        Rule(kept.All(decode => first.Contains((decode.Handle, 1))), "a decode does not come first");
    }

    private void CheckTime(int budget, double? sloMs)
    {
        var rows = _plan.Continued.Concat(_plan.Admitted).ToArray();
        Rule(rows.Sum(planned => planned.Rows) <= budget, "more rows than the budget");
        var (decodes, all, leastMs) = (default(StepWork), default(StepWork), 0.0);
        foreach (var planned in rows)
        {
            var item = _items[planned.Handle];
            if (item.Table.Count > 0 && item.Known - item.Computed == 1)
            {
                decodes = decodes.WithDecode(item.Known);
                all = all.WithDecode(item.Known);
                continue;
            }

            if (leastMs == 0)
            {
                var least = default(StepWork).WithPrefill(item.Computed, Math.Min(16, planned.Rows));
                leastMs = Time.Milliseconds(least) - Time.StepMs;
            }

            all = all.WithPrefill(item.Computed, planned.Rows);
        }

        if (sloMs is { } slo && decodes.DecodeSequences > 0)
        {
            TimedSteps++;
            var decodeMs = Time.Milliseconds(decodes);
            var target = Math.Max(Math.Max(slo, 1.5 * decodeMs), decodeMs + leastMs);
            Rule(Time.Milliseconds(all) <= target + 1e-6, "a step takes longer than its target");
        }

        _nowMs += rows.Length == 0 ? 1 : Time.Milliseconds(all);
    }

    private void Compute(PlannedRows planned)
    {
        var item = _items[planned.Handle];
        var blocks = (item.Known + BlockTokens - 1) / BlockTokens;
        Rule(_pool.TryGrow(item.Table, blocks), "a block is promised that is not there");
        item.Computed += planned.Rows;
        Rule(item.Computed <= item.Known, "more rows than tokens");
        if (item.Computed < item.Known) return;
        item.Known++;
        if (item.Known <= item.End) return;
        item.Ended = true;
        _pool.Release(item.Table);
    }

    private void TakeSnapshot(int budget, double? sloMs)
    {
        _snapshot = new StepSnapshot
        {
            BudgetTokens = budget,
            SequencesMax = SequencesMax,
            BlockTokens = BlockTokens,
            AvailableBlocks = _pool.AvailableBlocks,
            StepTime = sloMs is null ? null : Time,
            InterTokenSloMs = sloMs,
            Spill = new SpillRates(2, 2, FreeBlocks: 8),
        };
        for (var i = 0; i < _items.Count; i++)
        {
            var item = _items[i];
            if (!item.Ended) (item.Table.Count > 0 ? _snapshot.Running : _snapshot.Waiting).Add(View(i, item));
        }
    }

    private StepSequence View(int handle, Item item) => new()
    {
        Handle = handle,
        Priority = item.Priority,
        Arrival = handle,
        ArrivedMs = item.ArrivedMs,
        ExpectedMs = item.ExpectedMs,
        KnownTokens = item.Known,
        ComputedTokens = item.Computed,
        HeldBlocks = item.Table.Count,
        ReleasableBlocks = _pool.ReleasableBlocks(item.Table),
        Grows = true,
    };

    private static void Rule(bool holds, string broken)
    {
        if (!holds) throw new BrokenRuleException(broken);
    }

    private sealed class Item
    {
        public BlockTable Table { get; } = new();

        public required int Known { get; set; }

        public required int End { get; init; }

        public required int Priority { get; init; }

        public required long ArrivedMs { get; init; }

        public required long ExpectedMs { get; init; }

        public int Computed { get; set; }

        public bool Ended { get; set; }
    }
}
