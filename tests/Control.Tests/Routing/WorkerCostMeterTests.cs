using Krewe.Control.Routing;

namespace Krewe.Control.Tests.Routing;

public class WorkerCostMeterTests
{
    [Fact]
    public void Costs_are_learnt_from_reports_and_then_trusted()
    {
        var meter = new WorkerCostMeter();
        Assert.True(meter.Costs.IsGuess);
        var random = new Random(1);
        ulong steps = 1, prefills = 0, decodes = 0;
        for (var i = 0; i < 400; i++)
        {
            // 5 ms a step, 0.2 ms a row, 1e-3 ms a context token; mixed steps of one kind or the other.
            var rows = random.Next(2) == 0 ? random.Next(16, 512) : 0;
            var batch = random.Next(0, 16);
            var context = batch * random.Next(100, 400);
            if (rows + batch == 0) continue;
            steps += 10;
            prefills += 10UL * (ulong)rows;
            decodes += 10UL * (ulong)batch;
            meter.Observe(steps, prefills, decodes, context, 5 + (0.2 * (rows + batch)) + (1e-3 * context));
        }

        Assert.False(meter.Costs.IsGuess);
        Assert.InRange(meter.Costs.PrefillMs(300, 0, 512), 58, 72);
        Assert.InRange(meter.Costs.DecodeMs(8, 2000), 7.5, 9.7);
    }

    [Fact]
    public void Quiet_reports_and_restarts_teach_nothing()
    {
        var meter = new WorkerCostMeter();
        meter.Observe(100, 50, 50, 0, 3);
        meter.Observe(100, 50, 50, 0, 3);
        meter.Observe(5, 1, 1, 0, 3);
        Assert.Equal(StepCosts.ColdStart, meter.Costs);
    }
}
