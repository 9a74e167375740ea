namespace Krewe.Simulation.Tests;

public sealed class EventHeapTests
{
    [Fact]
    public void Events_come_in_order_of_time_and_then_of_scheduling()
    {
        var random = new SeededRandom(3);
        var heap = new EventHeap();
        var expected = new List<(long Time, int Subject)>();
        for (var i = 0; i < 5000; i++)
        {
            var time = random.Between(0, 200);
            heap.Add(time, 0, i);
            expected.Add((time, i));
        }

        var taken = new List<(long, int)>();
        while (heap.TryTake(out var next)) taken.Add((next.TimeNs, next.Subject));

        Assert.Equal(expected.OrderBy(e => e.Time).ThenBy(e => e.Subject), taken);
    }

    [Fact]
    public void The_past_cannot_be_scheduled()
    {
        var heap = new EventHeap();
        heap.Add(10, 0, 0);
        heap.TryTake(out _);

        Assert.Throws<ArgumentOutOfRangeException>(() => heap.Add(9, 0, 0));
    }
}
