using FsCheck;
using FsCheck.Fluent;
using Krewe.Abstractions;
using Krewe.Control.Leases;

namespace Krewe.Control.Tests.Leases;

public class LeaseTableTests
{
    private static readonly DateTimeOffset Start = DateTimeOffset.UnixEpoch;

    [Fact]
    public void Nothing_is_granted_on_a_worker_that_is_not_there()
    {
        var table = new LeaseTable();
        Assert.Null(table.Grant(Key(1), 7, 3, Start, TimeSpan.FromSeconds(1)));
        table.Attach(7);
        Assert.NotNull(table.Grant(Key(1), 7, 3, Start, TimeSpan.FromSeconds(1)));
        Assert.Null(table.Grant(Key(2), 8, 3, Start, TimeSpan.FromSeconds(1)));
    }

    [Fact]
    public void A_new_incarnation_voids_the_leases_of_the_old_one_and_the_same_one_keeps_them()
    {
        var table = new LeaseTable();
        table.Attach(7);
        table.Grant(Key(1), 7, 3, Start, TimeSpan.FromSeconds(1));
        Assert.Empty(table.Attach(7));
        Assert.Equal(1, table.Count);
        Assert.Equal(Key(1), Assert.Single(table.Attach(8)).Key);
        Assert.Equal(0, table.Count);
    }

    [Fact]
    public void A_renewed_lease_outlives_its_first_time()
    {
        var table = new LeaseTable();
        table.Attach(7);
        table.Grant(Key(1), 7, 3, Start, TimeSpan.FromSeconds(1));
        table.Grant(Key(1), 7, 3, Start, TimeSpan.FromSeconds(5));
        Assert.Empty(table.Expire(Start + TimeSpan.FromSeconds(4)));
        Assert.Equal(Start + TimeSpan.FromSeconds(5), table.NextExpiry);
        Assert.Single(table.Expire(Start + TimeSpan.FromSeconds(5)));
        Assert.Null(table.NextExpiry);
    }

    [Fact]
    public void A_table_agrees_with_a_plain_list_after_any_operations() =>
        Search((table, now) => table.Expire(now));

    [Fact]
    public void A_table_that_forgets_to_expire_is_caught() =>
        Assert.ThrowsAny<Exception>(() => Search((_, _) => { }));

    /// <summary>Random operations on a table and on the list of leases that ought to be in it.</summary>
    private static void Search(Action<LeaseTable, DateTimeOffset> expire) => Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(500).WithReplay(20_260_801, 1),
        Prop.ForAll(Gen.Choose(0, 1_000_000).ArrayOf(80).ToArbitrary(), script => Play(script, expire)));

    private static void Play(int[] script, Action<LeaseTable, DateTimeOffset> expire)
    {
        var table = new LeaseTable();
        var model = new List<LeaseGrant>();
        var (now, incarnation, attached) = (Start, 1UL, false);
        foreach (var number in script)
        {
            var key = Key(number / 8 % 5);
            switch (number % 8)
            {
                case < 4:
                    var life = TimeSpan.FromSeconds(1 + (number / 40 % 10));
                    if (table.Grant(key, incarnation, 1, now, life) is { } lease)
                    {
                        model.RemoveAll(known => known.Key == key);
                        model.Add(lease);
                    }

                    Assert.Equal(attached, table.Holds(key));
                    break;
                case 4:
                    Assert.Equal(model.RemoveAll(known => known.Key == key) > 0, table.Release(key));
                    break;
                case 5:
                    now += TimeSpan.FromSeconds(number / 8 % 4);
                    expire(table, now);
                    model.RemoveAll(known => known.ExpiresAt <= now);
                    break;
                case 6:
                    (incarnation, attached) = (incarnation + 1, true);
                    table.Attach(incarnation);
                    model.Clear();
                    break;
                default:
                    attached = false;
                    table.VoidIncarnation();
                    model.Clear();
                    break;
            }

            table.CheckIntegrity();
            Assert.Equal(model.ToHashSet(), table.Leases.ToHashSet());
            Assert.Equal(model.Count == 0 ? null : model.Min(known => known.ExpiresAt), table.NextExpiry);
        }
    }

    private static SequenceKey Key(int number) => new($"request-{number}", 0, 1);
}
