using Krewe.Control.Admission;

namespace Krewe.Control.Tests.Admission;

public sealed class WorkBudgetsTests
{
    [Fact]
    public void A_burst_may_begin_and_then_as_much_as_flows_in()
    {
        var budgets = new WorkBudgets(burstMs: 100, share: 0.1, leastMs: 10);
        for (var i = 0; i < 10; i++) Assert.Equal(TimeSpan.Zero, budgets.Take("a", 0));

        Assert.Equal(TimeSpan.FromMilliseconds(100), budgets.Take("a", 0));
        Assert.Equal(TimeSpan.FromMilliseconds(1), budgets.Take("a", 99));
        Assert.Equal(TimeSpan.Zero, budgets.Take("a", 100));
        Assert.NotEqual(TimeSpan.Zero, budgets.Take("a", 100));
        Assert.Equal(TimeSpan.Zero, budgets.Take("b", 100));
    }

    [Fact]
    public void Long_work_is_paid_for_before_the_next_begins()
    {
        var budgets = new WorkBudgets(burstMs: 100, share: 0.1, leastMs: 10);
        Assert.Equal(TimeSpan.Zero, budgets.Take("a", 0));
        budgets.Settle("a", 500, 500);

        // 90 left, full again at 100 ms, less 490 of the work: 400 short of the 10 that the next one takes.
        Assert.Equal(TimeSpan.FromMilliseconds(4000), budgets.Take("a", 500));
        Assert.Equal(TimeSpan.Zero, budgets.Take("a", 4500));
    }
}
