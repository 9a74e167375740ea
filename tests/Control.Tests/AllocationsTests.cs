namespace Krewe.Control.Tests;

public sealed class AllocationsTests
{
    private object? _kept;

    // Positive control of every test that counts allocations.
    [Fact]
    public void Code_that_allocates_each_time_is_seen() =>
        Assert.True(Allocations.Of(() => _kept = new object()) > 0, $"{_kept} cost nothing");

    [Fact]
    public void A_collection_of_others_is_not_counted()
    {
        var runs = 0;
        Assert.Equal(0, Allocations.Of(() =>
        {
            if (runs++ == 0) GC.Collect();
        }));
    }
}
