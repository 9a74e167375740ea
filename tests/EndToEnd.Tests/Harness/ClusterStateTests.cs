namespace Krewe.EndToEnd.Tests.Harness;

/// <summary>The check that everything came back can fail: each kind of leak is seen.</summary>
public sealed class ClusterStateTests
{
    private const string Clean = """
        {"activations":{},"open_streams":0,"tokens":{"accepted":9,"duplicate":0,"stale":0,"contradicting":0},
        "workers":[{"id":"decode-0","role":"decode","pid":7,"link_epoch":1,"attempts":0,"load":{
        "total_blocks":8,"free_blocks":6,"evictable_blocks":2,"pinned_blocks":0,"leases":0,
        "running_sequences":0,"waiting_sequences":0}}]}
        """;

    [Fact]
    public void A_cluster_at_rest_holds_nothing() => Assert.Empty(ClusterState.Parse(Clean).StillHeld());

    [Theory]
    [InlineData("\"open_streams\":0", "\"open_streams\":1")]
    [InlineData("\"attempts\":0", "\"attempts\":1")]
    [InlineData("\"pinned_blocks\":0", "\"pinned_blocks\":1")]
    [InlineData("\"leases\":0", "\"leases\":1")]
    [InlineData("\"running_sequences\":0", "\"running_sequences\":1")]
    [InlineData("\"waiting_sequences\":0", "\"waiting_sequences\":1")]
    [InlineData("\"free_blocks\":6", "\"free_blocks\":5")]
    public void Each_leak_is_seen(string clean, string leaking) =>
        Assert.Single(ClusterState.Parse(Clean.Replace(clean, leaking, StringComparison.Ordinal)).StillHeld());
}
