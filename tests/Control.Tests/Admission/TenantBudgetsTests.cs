using Krewe.Control.Access;
using Krewe.Control.Admission;

namespace Krewe.Control.Tests.Admission;

public sealed class TenantBudgetsTests
{
    private static readonly TenantPolicy Tenant = new() { Name = "a", RequestsPerMinute = 60, TokensPerMinute = 600 };

    [Fact]
    public void Requests_beyond_a_minutes_allowance_wait_until_the_next_is_there()
    {
        var budgets = new TenantBudgets();
        for (var i = 0; i < 60; i++) Assert.Equal(TimeSpan.Zero, budgets.Take(Tenant, 1, 0).Wait);

        var refused = budgets.Take(Tenant, 1, 0);

        Assert.Equal(TimeSpan.FromSeconds(1), refused.Wait);
        Assert.Equal(0, refused.Requests!.Left);
        Assert.Equal(TimeSpan.Zero, budgets.Take(Tenant, 1, 1000).Wait);
        Assert.NotEqual(TimeSpan.Zero, budgets.Take(Tenant, 1, 1000).Wait);
    }

    [Fact]
    public void A_refusal_takes_nothing_of_the_other_allowance()
    {
        var budgets = new TenantBudgets();
        budgets.Take(Tenant, 600, 0);

        for (var i = 0; i < 100; i++) Assert.True(budgets.Take(Tenant, 10, 0).Wait > TimeSpan.Zero);

        Assert.Equal(59, budgets.Take(Tenant, 10, 0).Requests!.Left);
    }

    [Fact]
    public void What_was_not_used_comes_back()
    {
        var budgets = new TenantBudgets();
        budgets.Take(Tenant, 600, 0);

        budgets.Return("a", 500);

        Assert.Equal(TimeSpan.Zero, budgets.Take(Tenant, 500, 0).Wait);
        Assert.Equal(TimeSpan.FromSeconds(1), budgets.Take(Tenant, 10, 0).Wait);
    }

    [Fact]
    public void A_request_larger_than_the_allowance_comes_in_when_all_of_it_is_there_and_is_paid_for_later()
    {
        var budgets = new TenantBudgets();
        Assert.Equal(TimeSpan.Zero, budgets.Take(Tenant, 1200, 0).Wait);

        Assert.Equal(TimeSpan.FromSeconds(61), budgets.Take(Tenant, 10, 0).Wait);
        Assert.Equal(TimeSpan.Zero, budgets.Take(Tenant, 10, 61_000).Wait);
    }

    [Fact]
    public void Tenants_do_not_share_and_one_without_limits_has_none()
    {
        var budgets = new TenantBudgets();
        budgets.Take(Tenant, 600, 0);

        Assert.Equal(TimeSpan.Zero, budgets.Take(Tenant with { Name = "b" }, 600, 0).Wait);
        Assert.Null(budgets.Take(new TenantPolicy { Name = "c" }, 1_000_000, 0).Tokens);
    }
}
