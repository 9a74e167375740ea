using Krewe.Workers;

namespace Krewe.Cli.Tests.Benching;

public sealed class PrefillPlanTests
{
    [Fact]
    public void Prompts_longer_than_a_step_are_cut_and_steps_are_filled_up()
    {
        var plan = new PrefillPlan(sequences: 3, promptTokens: 40, stepTokens: 32);

        Assert.Equal([new StepShape(32, 0), new(32, 1), new(32, 1), new(24, 1)], plan.Shapes);
        Assert.Equal([new PrefillChunk(0, 32, 8), new PrefillChunk(1, 0, 24)], plan.Steps[1]);
    }

    [Fact]
    public void A_step_may_hold_several_prompts() =>
        Assert.Equal([new StepShape(32, 3), new(8, 1)], new PrefillPlan(4, 10, 32).Shapes);
}
