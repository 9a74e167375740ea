using Krewe.Control.Cluster;

namespace Krewe.Control.Tests.Cluster;

public class DecisionLogTests
{
    [Fact]
    public void The_newest_are_kept_and_numbers_show_what_a_reader_missed()
    {
        var log = new DecisionLog(capacity: 3);
        for (var i = 1; i <= 5; i++) log.Add(DateTimeOffset.UnixEpoch, "migrate", $"moved {i}");
        Assert.Equal([3L, 4, 5], log.After(0).Select(decision => decision.Number));
        Assert.Equal("moved 5", Assert.Single(log.After(4)).What);
        Assert.Empty(log.After(5));
    }
}
