using FsCheck;
using FsCheck.Fluent;
using Krewe.Control.Steps;

namespace Krewe.Control.Tests.Steps;

public sealed class StepTimeModelTests
{
    /// <summary>About the 88 M model on two cores.</summary>
    private static readonly StepTimeCoefficients Machine = new()
    {
        StepMs = 3.2,
        RowMs = 0.36,
        DecodeSequenceMs = 0.1,
        ContextTokenMs = 2e-4,
        PairMs = 3e-5,
    };

    [Fact]
    public void Measured_steps_are_predicted_within_a_few_percent_after_a_hundred()
    {
        var model = new StepTimeModel();
        var random = new Random(1);
        for (var i = 0; i < 100; i++) Observe(model, Machine, RandomWork(random), noise: 0.03, random);
        AssertClose(model, Machine, within: 0.06);
        Assert.InRange(model.Spread, 0.01, 0.1);
    }

    [Fact]
    public void One_step_is_enough_to_set_the_scale()
    {
        var model = new StepTimeModel();
        var work = default(StepWork).WithPrefill(0, 40);
        model.Observe(work, 4000);
        Assert.Equal(4000, model.Coefficients.Milliseconds(work), 1e-6 * 4000);
    }

    [Fact]
    public void What_a_cold_first_step_taught_is_dropped()
    {
        var model = new StepTimeModel();
        var probe = default(StepWork).WithPrefill(0, 8);
        model.Observe(probe, 100 * Machine.Milliseconds(probe));
        for (var i = 0; i < 12; i++) model.Observe(probe, Machine.Milliseconds(probe));

        // A thousand times as long as anything that was seen: the start's ratios must do, but at the right scale.
        var ratio = model.Coefficients.PrefillMs(0, 8000, 512) / Machine.PrefillMs(0, 8000, 512);
        Assert.InRange(ratio, 0.2, 2);
    }

    [Fact]
    public void Pauses_of_the_machine_do_not_spoil_the_estimate()
    {
        var model = new StepTimeModel();
        var random = new Random(2);
        for (var i = 0; i < 400; i++)
        {
            var work = RandomWork(random);
            if (i > 20 && i % 25 == 0) model.Observe(work, 20 * Machine.Milliseconds(work));
            else Observe(model, Machine, work, noise: 0.03, random);
        }

        AssertClose(model, Machine, within: 0.12);
    }

    [Fact]
    public void A_machine_that_became_three_times_slower_is_learnt_again()
    {
        var model = new StepTimeModel();
        var random = new Random(3);
        for (var i = 0; i < 500; i++) Observe(model, Machine, RandomWork(random), noise: 0.03, random);
        var slower = Machine with
        {
            StepMs = 3 * Machine.StepMs,
            RowMs = 3 * Machine.RowMs,
            DecodeSequenceMs = 3 * Machine.DecodeSequenceMs,
            ContextTokenMs = 3 * Machine.ContextTokenMs,
            PairMs = 3 * Machine.PairMs,
        };
        for (var i = 0; i < 500; i++) Observe(model, slower, RandomWork(random), noise: 0.03, random);
        AssertClose(model, slower, within: 0.1);
    }

    [Fact]
    public void An_hour_of_decodes_does_not_forget_what_a_prefill_costs()
    {
        var model = new StepTimeModel();
        var random = new Random(4);
        for (var i = 0; i < 200; i++) Observe(model, Machine, RandomWork(random), noise: 0.03, random);
        for (var i = 0; i < 20_000; i++)
        {
            var work = default(StepWork);
            for (var decodes = random.Next(1, 9); decodes > 0; decodes--) work = work.WithDecode(random.Next(50, 900));
            Observe(model, Machine, work, noise: 0.03, random);
        }

        var chunk = default(StepWork).WithPrefill(512, 512);
        Assert.Equal(1, model.Coefficients.Milliseconds(chunk) / Machine.Milliseconds(chunk), 0.15);
    }

    [Fact]
    public void Whatever_is_observed_no_coefficient_is_negative_or_not_finite()
    {
        var observation =
            from rows in Gen.Choose(-1, 100_000)
            from decodes in Gen.Choose(0, 1000)
            from context in Gen.Choose(0, int.MaxValue)
            from pairs in Gen.Choose(0, int.MaxValue)
            from ms in Gen.Elements(0, -1, 1e-300, 1e300, double.NaN, double.PositiveInfinity, 1e-3, 1, 50, 1e6)
            select (Work: new StepWork
            {
                Rows = rows,
                DecodeSequences = decodes,
                DecodeContextTokens = context,
                PrefillPairs = 1000L * pairs,
            }, Ms: ms);
        Prop.ForAll(observation.ListOf().ToArbitrary(), observations =>
        {
            var model = new StepTimeModel();
            foreach (var (work, ms) in observations)
            {
                model.Observe(work, ms);
                foreach (var value in Values(model.Coefficients))
                    Assert.True(value >= 0 && double.IsFinite(value), $"{model.Coefficients}");
            }
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void The_same_observations_give_the_same_bits()
    {
        StepTimeCoefficients Fit()
        {
            var (model, random) = (new StepTimeModel(), new Random(5));
            for (var i = 0; i < 1000; i++) Observe(model, Machine, RandomWork(random), noise: 0.2, random);
            return model.Coefficients;
        }

        Assert.Equal(Fit(), Fit());
    }

    [Fact]
    public void Observing_allocates_nothing()
    {
        var (model, random) = (new StepTimeModel(), new Random(6));
        Observe(model, Machine, RandomWork(random), noise: 0.03, random);
        Observe(model, Machine, RandomWork(random), noise: 0.03, random);
        Assert.Equal(0, Allocations.Of(() =>
        {
            for (var i = 0; i < 1000; i++) Observe(model, Machine, RandomWork(random), noise: 0.03, random);
        }));
    }

    [Fact]
    public void A_chunk_within_a_time_is_the_longest_that_fits()
    {
        Prop.ForAll(
            Gen.Choose(0, 8000).ToArbitrary(), Gen.Choose(1, 400).ToArbitrary(), (computed, ms) =>
            {
                var beside = default(StepWork).WithDecode(500).WithDecode(900);
                var rows = Machine.RowsWithin(ms, beside, computed, rowsMax: 4000);
                Assert.InRange(rows, 0, 4000);
                if (rows > 0) Assert.True(Machine.Milliseconds(beside.WithPrefill(computed, rows)) <= ms + 1e-9);
                if (rows < 4000) Assert.True(Machine.Milliseconds(beside.WithPrefill(computed, rows + 1)) > ms);
            }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Saturating_rows_follow_from_the_ratio_of_a_step_to_a_row()
    {
        // DistServe's fit for a 13 B model on one A100: 18.1 ms a step, 0.102 ms a token; the paper says 512 tokens.
        var coefficients = Machine with { StepMs = 18.10254647486372, RowMs = 0.1019122572698738 };
        Assert.Equal(532, coefficients.SaturatingRows(0.75));
    }

    private static StepWork RandomWork(Random random)
    {
        var work = default(StepWork);
        for (var decodes = random.Next(0, 9); decodes > 0; decodes--) work = work.WithDecode(random.Next(20, 4000));
        if (work.Rows == 0 || random.Next(2) == 0) work = work.WithPrefill(random.Next(0, 3000), random.Next(1, 512));
        return work;
    }

    private static void Observe(
        StepTimeModel model, StepTimeCoefficients truth, StepWork work, double noise, Random random) =>
        model.Observe(work, truth.Milliseconds(work) * (1 + (noise * ((2 * random.NextDouble()) - 1))));

    private static void AssertClose(StepTimeModel model, StepTimeCoefficients truth, double within)
    {
        var random = new Random(99);
        for (var i = 0; i < 200; i++)
        {
            var work = RandomWork(random);
            Assert.Equal(1, model.Coefficients.Milliseconds(work) / truth.Milliseconds(work), within);
        }
    }

    private static double[] Values(StepTimeCoefficients c) =>
        [c.StepMs, c.RowMs, c.DecodeSequenceMs, c.ContextTokenMs, c.PairMs];
}
