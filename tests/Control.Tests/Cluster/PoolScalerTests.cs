using Krewe.Control.Cluster;

namespace Krewe.Control.Tests.Cluster;

public class PoolScalerTests
{
    private static readonly PoolPolicy Policy = new();

    [Fact]
    public void Late_first_tokens_grow_the_prefill_pool_alone_and_say_why()
    {
        var world = new World { PrefillWork = 5.6, DecodeWork = 2.5, Prefill = 4, Decode = 4 };
        var actions = world.Run(new PoolScaler(Policy), minutes: 60);
        Assert.Equal(6, world.Prefill);
        Assert.Equal(4, world.Decode);
        Assert.All(actions, action => Assert.IsType<ScalePhase>(action));
        Assert.Contains(
            "requests in time (target 90%), 4 workers 100% busy", actions[0].Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_pool_that_has_workers_to_spare_lends_one_before_a_new_one_is_asked_for()
    {
        var world = new World { PrefillWork = 3.4, DecodeWork = 1.2, Prefill = 3, Decode = 5 };
        var actions = world.Run(new PoolScaler(Policy), minutes: 4);
        var first = Assert.IsType<SwitchRole>(actions[0]);
        Assert.Equal((PoolPhase.Decode, PoolPhase.Prefill), (first.From, first.To));
        Assert.Equal(8, world.Prefill + world.Decode);
    }

    [Fact]
    public void No_traffic_is_a_number_and_lets_pools_shrink_to_their_least()
    {
        var world = new World { Prefill = 4, Decode = 4 };
        world.Run(new PoolScaler(Policy), minutes: 60);
        Assert.Equal((1, 1), (world.Prefill, world.Decode));

        world = new World { Prefill = 2, Decode = 2 };
        world.Run(new PoolScaler(Policy with { WorkersMin = 0 }), minutes: 60);
        Assert.Equal((0, 0), (world.Prefill, world.Decode));
        world.PrefillWork = world.DecodeWork = 0.5;
        world.Run(new PoolScaler(Policy with { WorkersMin = 0 }), minutes: 10);
        Assert.Equal((1, 1), (world.Prefill, world.Decode));
    }

    [Fact]
    public void Samples_of_a_cold_start_are_dropped()
    {
        var scaler = new PoolScaler(Policy);
        var start = DateTimeOffset.UnixEpoch;
        var late = new PhaseSample(4, 100, 10, 1);
        for (var second = 0; second < 30; second += 5)
            Assert.Empty(scaler.Observe(new PoolSample(start.AddSeconds(second), late, late, start)));
        for (var second = 30; second < 40; second += 5)
            Assert.Empty(scaler.Observe(new PoolSample(start.AddSeconds(second), late, late, start)));
        Assert.NotEmpty(scaler.Observe(new PoolSample(start.AddSeconds(40), late, late, start)));
    }

    /// <summary>A load in steps: pools follow it, and never go to and fro while it stands still.</summary>
    [Theory, InlineData(1), InlineData(2), InlineData(3), InlineData(4), InlineData(5)]
    public void A_standing_load_is_answered_once(int seed)
    {
        var random = new Random(seed);
        var world = new World { Prefill = 3, Decode = 3 };
        var scaler = new PoolScaler(Policy);
        for (var step = 0; step < 5; step++)
        {
            world.PrefillWork = random.NextDouble() * 20;
            world.DecodeWork = random.NextDouble() * 20;
            world.Run(scaler, minutes: 180);
            Assert.Empty(world.Run(scaler, minutes: 60));
            Assert.True(world.PrefillWork <= world.Prefill && world.DecodeWork <= world.Decode);
        }
    }

    [Fact]
    public void Without_cool_down_and_patience_the_check_above_would_see_it_go_to_and_fro()
    {
        var hasty = new PoolScaler(Policy with
        {
            SamplesInRow = 1,
            ColdStart = TimeSpan.Zero,
            CoolDownAfterGrowth = TimeSpan.Zero,
            CoolDownBeforeShrinking = TimeSpan.Zero,
        });
        var world = new World { Prefill = 3, Decode = 8, PrefillWork = 3.5, DecodeWork = 5, IsNoisy = true };
        world.Run(hasty, minutes: 180);
        Assert.NotEmpty(world.Run(hasty, minutes: 60));
    }

    /// <summary>Pools that do what they are told; a phase is late when its work exceeds its workers.</summary>
    private sealed class World
    {
        private readonly Random _random = new(7);
        private DateTimeOffset _now = DateTimeOffset.UnixEpoch;
        private DateTimeOffset? _joined;

        public double PrefillWork { get; set; }

        public double DecodeWork { get; set; }

        public int Prefill { get; set; }

        public int Decode { get; set; }

        public bool IsNoisy { get; init; }

        public List<PoolAction> Run(PoolScaler scaler, int minutes)
        {
            var taken = new List<PoolAction>();
            for (var end = _now.AddMinutes(minutes); _now < end; _now += TimeSpan.FromSeconds(5))
            {
                var sample = new PoolSample(_now, Of(Prefill, PrefillWork), Of(Decode, DecodeWork), _joined);
                foreach (var action in scaler.Observe(sample)) Carry(action, taken);
            }

            return taken;
        }

        private void Carry(PoolAction action, List<PoolAction> taken)
        {
            taken.Add(action);
            switch (action)
            {
                case ScalePhase { Phase: PoolPhase.Prefill } scale:
                    Prefill = scale.To;
                    break;
                case ScalePhase scale:
                    Decode = scale.To;
                    break;
                case SwitchRole change:
                    var toPrefill = change.To == PoolPhase.Prefill ? 1 : -1;
                    Prefill += toPrefill;
                    Decode -= toPrefill;
                    break;
            }

            _joined = _now;
        }

        private PhaseSample Of(int workers, double work)
        {
            if (IsNoisy) work *= 0.5 + _random.NextDouble();
            if (work == 0) return new PhaseSample(workers, 0, 0, 0);
            var busy = workers == 0 ? 1 : Math.Min(1, work / workers);
            return new PhaseSample(workers, 100, busy < 1 ? 98 : 40, busy);
        }
    }
}
