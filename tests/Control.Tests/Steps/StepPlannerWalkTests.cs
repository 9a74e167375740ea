using Krewe.Control.Kv;
using Krewe.Control.Steps;

namespace Krewe.Control.Tests.Steps;

/// <summary>
/// Follows plans on a real pool with random arrivals: every plan must be executable, and everything must end.
/// </summary>
public sealed class StepPlannerWalkTests
{
    private const int BlockTokens = 4;

    [Fact]
    public void Every_plan_can_be_carried_out_and_every_sequence_ends()
    {
        for (var seed = 0; seed < 40; seed++) new Walk(seed).Run();
    }

    private sealed class Walk(int seed)
    {
        private readonly Random _random = new(seed);
        private readonly BlockPool _pool = new(12);
        private readonly List<Item> _items = [];
        private readonly StepPlan _plan = new();

        public void Run()
        {
            const int Arrivals = 40;
            var budget = _random.Next(2, 24);
            for (var step = 0; step < 5000; step++)
            {
                if (_items.Count < Arrivals && _random.Next(2) == 0) Arrive();
                Step(budget);
                _pool.CheckIntegrity(_items.Select(item => item.Table));
                if (_items.Count == Arrivals && _items.TrueForAll(item => item.Ended)) return;
            }

            Assert.Fail($"seed {seed}: sequences starve");
        }

        private void Arrive() => _items.Add(new Item
        {
            Known = _random.Next(1, 25),
            End = _random.Next(26, 48),
            Priority = _random.Next(2),
        });

        private void Step(int budget)
        {
            var snapshot = new StepSnapshot
            {
                BudgetTokens = budget,
                SequencesMax = 6,
                BlockTokens = BlockTokens,
                AvailableBlocks = _pool.AvailableBlocks,
            };
            for (var i = 0; i < _items.Count; i++)
            {
                var item = _items[i];
                if (!item.Ended) (item.Table.Count > 0 ? snapshot.Running : snapshot.Waiting).Add(View(i, item));
            }

            StepPlanner.Plan(snapshot, _plan);
            foreach (var handle in _plan.Preempted)
            {
                _pool.Release(_items[handle].Table);
                _items[handle].Computed = 0;
            }

            var rows = 0;
            foreach (var planned in _plan.Admitted.Concat(_plan.Continued))
            {
                rows += planned.Rows;
                Compute(_items[planned.Handle], planned.Rows);
            }

            Assert.True(rows <= budget, $"seed {seed}: {rows} rows of {budget}");
        }

        private void Compute(Item item, int rows)
        {
            var blocks = (item.Known + BlockTokens - 1) / BlockTokens;
            Assert.True(_pool.TryGrow(item.Table, blocks), $"seed {seed}: no block");
            item.Computed += rows;
            if (item.Computed < item.Known) return;
            item.Known++;
            if (item.Known < item.End) return;
            item.Ended = true;
            _pool.Release(item.Table);
        }

        private StepSequence View(int handle, Item item) => new()
        {
            Handle = handle,
            Priority = item.Priority,
            Arrival = handle,
            KnownTokens = item.Known,
            ComputedTokens = item.Computed,
            HeldBlocks = item.Table.Count,
            ReleasableBlocks = _pool.ReleasableBlocks(item.Table),
            Grows = true,
        };
    }

    private sealed class Item
    {
        public BlockTable Table { get; } = new();

        public required int Known { get; set; }

        public required int End { get; init; }

        public required int Priority { get; init; }

        public int Computed { get; set; }

        public bool Ended { get; set; }
    }
}
