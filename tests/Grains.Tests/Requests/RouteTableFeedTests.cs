using System.Collections.Immutable;
using Krewe.Abstractions;
using Krewe.Control.Kv;
using Krewe.Control.Routing;

namespace Krewe.Grains.Tests.Requests;

public class RouteTableFeedTests
{
    private readonly RouteTable _table = new();
    private readonly PrefixDirectory _prefixes = new();
    private readonly RouteTableFeed _feed;

    public RouteTableFeedTests() => _feed = new RouteTableFeed(_table, new LeastLoadedPolicy(), _prefixes);

    [Fact]
    public void The_table_follows_workers_that_come_change_and_go()
    {
        var first = View(GrainCluster.Prefill(0));
        _feed.Follow([first, View(GrainCluster.Prefill(1))]);
        Assert.Equal(["prefill-0", "prefill-1"], Ids());

        _feed.Follow([first with { WaitingTokens = 70, DispatchedTokens = 5 }, View(GrainCluster.Prefill(1))]);
        Assert.Equal(75, _table.Workers[0].OutstandingTokens);

        _feed.Follow([View(GrainCluster.Prefill(1)), View(GrainCluster.Decode(7))]);
        Assert.Equal(["decode-7", "prefill-1"], Ids());
        _feed.Follow([]);
        Assert.Empty(Ids());
    }

    [Fact]
    public void A_restarted_worker_is_another_one_and_keeps_nothing()
    {
        var chain = new PrefixHash[] { new(1), new(2) };
        _feed.Follow([View(GrainCluster.Prefill(0)) with { WaitingTokens = 70 }]);
        _prefixes.Routed(_table.Workers[0].Slot, chain);
        Assert.Equal(32, HitOf(chain));
        _feed.Follow([View(GrainCluster.Prefill(0, incarnation: 2))]);
        Assert.Equal(2UL, _table.Workers[0].Worker.Incarnation);
        Assert.Equal(0, _table.Workers[0].OutstandingTokens);
        Assert.Equal(0, HitOf(chain));
    }

    [Fact]
    public void What_was_chosen_counts_until_the_workers_next_view()
    {
        ImmutableArray<WorkerView> views = [View(GrainCluster.Prefill(0)), View(GrainCluster.Decode(0))];
        _feed.Follow(views);
        var request = new RouteRequest { PrefillTokens = 100, ContextTokens = 120 };
        RouteDispatch.Count(request, new LeastLoadedPolicy().Choose(request, _table));
        _feed.Follow(views);
        Assert.Equal(100, _table.Workers[1].OutstandingTokens);
        _feed.Follow([views[0] with { DispatchedTokens = 40 }, views[1]]);
        Assert.Equal(40, _table.Workers[1].OutstandingTokens);
    }

    [Fact]
    public void A_workers_own_word_about_its_blocks_replaces_what_is_believed()
    {
        var chain = new PrefixHash[] { new(1), new(2), new(3) };
        var worker = GrainCluster.Prefill(0).Worker;
        _feed.Follow([View(GrainCluster.Prefill(0))]);
        _prefixes.Begin(worker);
        _prefixes.Apply(worker, [new PrefixChange(chain[0], KvTier.Device, IsStored: true)]);
        Assert.Equal(0, HitOf(chain));
        _prefixes.Complete(worker, isComplete: true);
        Assert.Equal(16, HitOf(chain));
        _prefixes.End(worker);
        Assert.Equal(0, HitOf(chain));
    }

    private int HitOf(PrefixHash[] chain)
    {
        var hits = new PrefixHits();
        _prefixes.Match(chain, 16, hits);
        return hits[_table.Workers[0].Slot].Total;
    }

    private List<string> Ids()
    {
        var ids = new List<string>();
        foreach (var worker in _table.Workers) ids.Add(worker.Worker.WorkerId);
        return ids;
    }

    private static WorkerView View(WorkerDescriptor worker) => FakeClusterView.ViewOf(worker);
}
