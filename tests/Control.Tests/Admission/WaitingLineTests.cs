using Krewe.Control.Admission;

namespace Krewe.Control.Tests.Admission;

public class WaitingLineTests
{
    [Fact]
    public void Orders_differ_as_they_say()
    {
        QueueEntry[] entries =
        [
            Entry("long", 0, work: 1000, due: 1500), Entry("short", 10, work: 10, due: 3000),
            Entry("urgent", 20, work: 900, due: 1000),
        ];
        Assert.Equal(["long", "short", "urgent"], Drain(QueueOrder.Arrival, entries));
        Assert.Equal(["short", "urgent", "long"], Drain(QueueOrder.ShortestFirst, entries));
        Assert.Equal(["urgent", "long", "short"], Drain(QueueOrder.LeastSlack, entries));
    }

    [Fact]
    public void Shortest_first_ages_so_that_a_long_one_is_not_starved()
    {
        var queue = new WaitingLine(QueueOrder.ShortestFirst, Fairness.None);
        queue.Enqueue(Entry("long", 0, work: 1000));
        var before = 0;
        for (var now = 0; now < 5000; now += 10)
        {
            queue.Enqueue(Entry($"s{now}", now, work: 10));
            Assert.True(queue.TryDequeue(out var next));
            if (next.RequestId == "long") break;
            before++;
        }

        // It has waited as long as it takes by then.
        Assert.InRange(before, 90, 110);
    }

    [Fact]
    public void A_higher_priority_goes_first_whatever_the_tenant()
    {
        var queue = new WaitingLine(QueueOrder.Arrival, Fairness.VirtualTokens);
        queue.Enqueue(Entry("a", 0, tenant: "x"));
        queue.Enqueue(Entry("b", 1, tenant: "x") with { Priority = 1 });
        Assert.True(queue.TryDequeue(out var first));
        Assert.Equal("b", first.RequestId);
    }

    /// <summary>
    /// A tenant that floods gets no more than one that asks little: at any moment in which both wait, what they were
    /// served differs by at most the largest request, or quantum, twice over (VTC, theorem 4.4).
    /// </summary>
    [Theory, InlineData(Fairness.VirtualTokens), InlineData(Fairness.DeficitRoundRobin)]
    public void Backlogged_tenants_are_served_equally(Fairness fairness) =>
        Assert.InRange(WorstGap(fairness), 0, 2 * 4096);

    [Fact]
    public void The_check_above_notices_a_single_line() => Assert.True(WorstGap(Fairness.None) > 2 * 4096);

    [Fact]
    public void Whoever_was_away_does_not_come_back_with_a_claim()
    {
        var queue = new WaitingLine(QueueOrder.Arrival, Fairness.VirtualTokens);
        for (var i = 0; i < 100; i++) queue.Enqueue(Entry($"a{i}", i, tenant: "a"));
        for (var i = 0; i < 50; i++) Assert.True(queue.TryDequeue(out _));
        for (var i = 0; i < 50; i++) queue.Enqueue(Entry($"b{i}", 100 + i, tenant: "b"));
        var next = Enumerable.Range(0, 20).Select(_ => queue.TryDequeue(out var entry) ? entry.Tenant : "").ToList();
        Assert.InRange(next.Count(tenant => tenant == "b"), 9, 11);
    }

    /// <summary>The line was empty in between: what one was served before must not make it wait for the other's flood.
    /// </summary>
    [Fact]
    public void Nobody_pays_for_what_it_was_served_while_nobody_else_asked()
    {
        var queue = new WaitingLine(QueueOrder.Arrival, Fairness.VirtualTokens);
        for (var i = 0; i < 100; i++)
        {
            queue.Enqueue(Entry($"a{i}", i, tenant: "a"));
            Assert.True(queue.TryDequeue(out _));
        }

        for (var i = 0; i < 50; i++) queue.Enqueue(Entry($"b{i}", 100 + i, tenant: "b"));
        for (var i = 0; i < 50; i++) queue.Enqueue(Entry($"c{i}", 100 + i, tenant: "a"));
        var next = Enumerable.Range(0, 20).Select(_ => queue.TryDequeue(out var entry) ? entry.Tenant : "").ToList();

        Assert.InRange(next.Count(tenant => tenant == "a"), 9, 11);
    }

    [Fact]
    public void A_claim_lets_a_burst_of_one_within_its_share_go_first_and_no_more_than_that()
    {
        var queue = new WaitingLine(QueueOrder.Arrival, Fairness.VirtualTokens, claimTokens: 500);
        for (var i = 0; i < 100; i++) queue.Enqueue(Entry($"a{i}", i, tenant: "a"));
        for (var i = 0; i < 50; i++) Assert.True(queue.TryDequeue(out _));
        for (var i = 0; i < 50; i++) queue.Enqueue(Entry($"b{i}", 100 + i, tenant: "b"));
        Assert.True(queue.IsWithinShare("b"));
        Assert.False(new WaitingLine(QueueOrder.Arrival, Fairness.VirtualTokens).IsWithinShare("alone"));
        Assert.False(queue.IsWithinShare("a"));

        var next = Enumerable.Range(0, 25).Select(_ => queue.TryDequeue(out var entry) ? entry.Tenant : "").ToList();

        Assert.All(next[..5], tenant => Assert.Equal("b", tenant));
        Assert.InRange(next[5..].Count(tenant => tenant == "b"), 9, 11);
    }

    [Fact]
    public void A_flood_that_begins_is_not_within_its_share_whatever_claim_it_has_kept()
    {
        var queue = new WaitingLine(QueueOrder.Arrival, Fairness.VirtualTokens, claimTokens: 5000);
        for (var i = 0; i < 100; i++)
        {
            queue.Enqueue(Entry($"q{i}", i, tenant: "quiet"));
            Assert.True(queue.TryDequeue(out _));
        }

        queue.Enqueue(Entry("f0", 100, tenant: "flood"));
        queue.Enqueue(Entry("quiet", 100, tenant: "quiet"));
        Assert.True(queue.IsWithinShare("flood"));
        for (var i = 1; i < 50; i++) queue.Enqueue(Entry($"f{i}", 101, tenant: "flood"));

        Assert.False(queue.IsWithinShare("flood"));
    }

    [Fact]
    public void Twice_the_weight_is_twice_the_tokens()
    {
        var queue = new WaitingLine(QueueOrder.Arrival, Fairness.VirtualTokens);
        for (var i = 0; i < 60; i++) queue.Enqueue(Entry($"a{i}", i, tenant: "a") with { Weight = 2 });
        for (var i = 0; i < 60; i++) queue.Enqueue(Entry($"b{i}", i, tenant: "b"));

        var next = Enumerable.Range(0, 30).Select(_ => queue.TryDequeue(out var entry) ? entry.Tenant : "").ToList();

        Assert.InRange(next.Count(tenant => tenant == "a"), 19, 21);
    }

    [Fact]
    public void Only_the_tenants_that_may_are_taken()
    {
        var queue = new WaitingLine(QueueOrder.Arrival, Fairness.VirtualTokens);
        queue.Enqueue(Entry("a", 0, tenant: "a") with { Priority = 1 });
        queue.Enqueue(Entry("b", 1, tenant: "b"));

        Assert.True(queue.TryDequeue(tenant => tenant == "b", out var first));
        Assert.Equal("b", first.RequestId);
        Assert.False(queue.TryDequeue(tenant => tenant == "b", out _));
        Assert.True(queue.TryDequeue(out _));
    }

    [Fact]
    public void Output_tokens_count_as_well()
    {
        var queue = new WaitingLine(QueueOrder.Arrival, Fairness.VirtualTokens);
        queue.Enqueue(Entry("a", 0, tenant: "a"));
        queue.Enqueue(Entry("b", 1, tenant: "b"));
        queue.Charge("a", 10);
        Assert.True(queue.TryDequeue(out var first));
        Assert.Equal("b", first.RequestId);
    }

    [Theory, InlineData(Fairness.None), InlineData(Fairness.VirtualTokens), InlineData(Fairness.DeficitRoundRobin)]
    public void Every_request_leaves_once_or_is_cancelled(Fairness fairness)
    {
        var random = new Random(1);
        var queue = new WaitingLine(QueueOrder.LeastSlack, fairness);
        var (open, left) = (new HashSet<string>(), new HashSet<string>());
        for (var i = 0; i < 5000; i++)
        {
            switch (random.Next(5))
            {
                case 0 or 1 or 2:
                    queue.Enqueue(Entry($"r{i}", i, work: random.Next(100), tenant: $"t{random.Next(5)}") with
                    {
                        Priority = random.Next(3),
                        DueMs = random.Next(10_000),
                        Tokens = random.Next(20_000),
                    });
                    open.Add($"r{i}");
                    break;
                case 3 when open.Count > 0:
                    Assert.True(queue.Cancel(open.First()));
                    open.Remove(open.First());
                    break;
                default:
                    if (!queue.TryDequeue(out var entry))
                    {
                        Assert.Empty(open);
                        break;
                    }

                    Assert.True(open.Remove(entry.RequestId));
                    Assert.True(left.Add(entry.RequestId));
                    break;
            }

            Assert.Equal(open.Count, queue.Count);
        }

        Assert.True(left.Count > 500);
    }

    private static double WorstGap(Fairness fairness)
    {
        var random = new Random(3);
        var queue = new WaitingLine(QueueOrder.Arrival, fairness);
        var served = new Dictionary<string, long> { ["flood"] = 0, ["few"] = 0 };
        for (var i = 0; i < 500; i++)
            queue.Enqueue(Entry($"f{i}", i, tenant: "flood") with { Tokens = random.Next(1, 4096) });
        for (var i = 0; i < 50; i++)
            queue.Enqueue(Entry($"q{i}", 500 + i, tenant: "few") with { Tokens = random.Next(1, 4096) });
        double worst = 0;
        for (var left = 50; left > 0 && queue.TryDequeue(out var entry);)
        {
            if (entry.Tenant == "few") left--;
            served[entry.Tenant] += entry.Tokens;
            if (left > 0) worst = Math.Max(worst, Math.Abs(served["flood"] - served["few"]));
        }

        return worst;
    }

    private static List<string> Drain(QueueOrder order, QueueEntry[] entries)
    {
        var queue = new WaitingLine(order, Fairness.None);
        foreach (var entry in entries) queue.Enqueue(entry);
        var names = new List<string>();
        while (queue.TryDequeue(out var next)) names.Add(next.RequestId);
        return names;
    }

    private static QueueEntry Entry(
        string id, double arrived, double work = 10, double due = double.PositiveInfinity, string tenant = "") =>
        new()
        {
            RequestId = id,
            Tenant = tenant,
            ArrivedMs = arrived,
            WorkMs = work,
            DueMs = due,
            Tokens = 100,
        };
}
