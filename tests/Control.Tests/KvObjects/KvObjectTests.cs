using Krewe.Abstractions;
using Krewe.Control.KvObjects;

namespace Krewe.Control.Tests.KvObjects;

public class KvObjectTests
{
    private static readonly DateTimeOffset Noon = new(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);
    private static readonly WorkerIncarnation A = new("a", 1);
    private static readonly WorkerIncarnation B = new("b", 1);

    [Fact]
    public void A_copy_is_known_once_and_its_use_is_dated()
    {
        var known = KvObject.Empty.Stored(new(A, KvTier.Disk), Noon).Stored(new(A, KvTier.Disk), Noon.AddHours(1));

        Assert.Equal([new KvReplica(A, KvTier.Disk)], known.Replicas.ToArray());
        Assert.Equal(Noon.AddHours(1), known.LastUse);
    }

    [Fact]
    public void A_new_incarnation_voids_the_copies_of_the_old_one()
    {
        var restarted = A with { Incarnation = 2 };
        var known = KvObject.Empty
            .Stored(new(A, KvTier.Device), Noon)
            .Stored(new(B, KvTier.Device), Noon)
            .Stored(new(restarted, KvTier.Disk), Noon);

        Assert.Equal([new(B, KvTier.Device), new KvReplica(restarted, KvTier.Disk)], known.Replicas.ToArray());
    }

    [Fact]
    public void A_lost_worker_leaves_its_disk()
    {
        var known = KvObject.Empty.Stored(new(A, KvTier.Host), Noon).Stored(new(A, KvTier.Disk), Noon).WorkerLost(A);

        Assert.Equal([new KvReplica(A, KvTier.Disk)], known.Replicas.ToArray());
    }

    [Fact]
    public void Only_a_copy_below_the_device_can_be_pinned_and_a_pin_ends()
    {
        var onDevice = KvObject.Empty.Stored(new(A, KvTier.Device), Noon);
        Assert.Null(onDevice.Pinned("me", Noon.AddMinutes(1), Noon));

        var pinned = onDevice.Stored(new(B, KvTier.Host), Noon).Pinned("me", Noon.AddMinutes(1), Noon)!;
        Assert.Equal([B], pinned.Keepers);
        Assert.Equal(Noon.AddMinutes(1), pinned.NextExpiry);
        var renewed = pinned.Pinned("me", Noon.AddMinutes(2), Noon)!;
        Assert.Equal([new KvPin("me", Noon.AddMinutes(2))], renewed.Expired(Noon.AddMinutes(1)).Pins.ToArray());
        Assert.Empty(renewed.Expired(Noon.AddMinutes(2)).Pins);
        Assert.Empty(renewed.Unpinned("me").Pins);
    }

    [Fact]
    public void Without_a_copy_nothing_is_left()
    {
        var known = KvObject.Empty.Stored(new(A, KvTier.Disk), Noon).Pinned("me", Noon.AddMinutes(1), Noon)!
            .Removed(new(A, KvTier.Disk));

        Assert.True(known.IsEmpty);
        Assert.Empty(known.Pins);
    }
}
