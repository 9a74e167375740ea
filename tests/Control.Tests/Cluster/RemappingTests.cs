using Krewe.Control.Cluster;

namespace Krewe.Control.Tests.Cluster;

public class RemappingTests
{
    [Fact]
    public void A_lost_device_moves_nobody_but_its_stand_in()
    {
        var shape = new ParallelShape(2, 2, 1, 1000);
        HeldContext[] devices =
        [
            new("a", new Position(0, 0, 0), 5), new("b", new Position(0, 1, 0), 5),
            new("c", new Position(1, 0, 0), 5), new("new", null, 0),
        ];
        var map = Remapping.Map(devices, shape, shape);
        Assert.Equal("a", map[new Position(0, 0, 0)]);
        Assert.Equal("b", map[new Position(0, 1, 0)]);
        Assert.Equal("c", map[new Position(1, 0, 0)]);
        Assert.Equal("new", map[new Position(1, 1, 0)]);
    }

    [Fact]
    public void Replicas_of_equal_weights_keep_their_own_kv()
    {
        var shape = new ParallelShape(2, 1, 1, 1000);
        HeldContext[] devices = [new("b", new Position(1, 0, 0), 7), new("a", new Position(0, 0, 0), 7)];
        var map = Remapping.Map(devices, shape, shape);
        Assert.Equal(("a", "b"), (map[new Position(0, 0, 0)], map[new Position(1, 0, 0)]));
    }

    [Fact]
    public void A_shrunken_pipeline_puts_devices_where_their_layers_are()
    {
        // Four stages become two: each device keeps a quarter of the layers and loads another one.
        var map = Remapping.Map(
            [.. Enumerable.Range(0, 4).Select(i => new HeldContext($"d{i}", new Position(0, i, 0), 0))],
            new ParallelShape(1, 4, 1, 1000), new ParallelShape(1, 2, 1, 1000));
        Assert.Contains(map[new Position(0, 0, 0)], (string[])["d0", "d1"]);
        Assert.Contains(map[new Position(0, 1, 0)], (string[])["d2", "d3"]);
        Assert.Equal(250, Remapping.ReusableBytes(
            new HeldContext("d1", new Position(0, 1, 0), 0), new ParallelShape(1, 4, 1, 1000), new Position(0, 0, 0),
            new ParallelShape(1, 2, 1, 1000)));
    }

    [Fact]
    public void Too_few_devices_are_refused_with_the_arithmetic()
    {
        var shape = new ParallelShape(2, 2, 1, 1000);
        var e = Assert.Throws<ArgumentException>(() => Remapping.Map([new("a", null, 0)], shape, shape));
        Assert.Contains("2 x 2 x 1 positions need 4 devices; there are 1", e.Message, StringComparison.Ordinal);
    }
}
