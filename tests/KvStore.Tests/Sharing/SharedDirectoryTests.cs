using Krewe.KvStore.Devices;
using Krewe.KvStore.Disk;
using Krewe.KvStore.Sharing;

namespace Krewe.KvStore.Tests.Sharing;

/// <summary>Several workers' stores in one directory.</summary>
public sealed class SharedDirectoryTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Theory]
    [IoUringData]
    [InlineData(IoPath.RandomAccess)]
    public async Task What_one_stores_the_other_reads_before_and_after_it_looked(IoPath path)
    {
        foreach (var geometry in new[] { Blocks.Aligned, Blocks.Odd })
        {
            var options = Blocks.Options(_directory.Path, geometry);
            await using var first = await OpenAsync(options, path);
            await first.Store.PutAsync(0);
            await using var second = await OpenAsync(options, path);

            Assert.Equal(ReadOutcome.Hit, await ReadAsync(second, 0, geometry)); // found in the headers
            Assert.False(second.Neighbours.Contains(Blocks.Key(1)));
            await first.Store.PutAsync(1);
            Assert.Equal(ReadOutcome.Hit, await ReadAsync(second, 1, geometry)); // told by the journal
            await first.Store.DeleteAsync(Blocks.Key(0));
            Assert.Null(second.Neighbours.TryOpen(Blocks.Key(0)));
        }
    }

    [Fact]
    public async Task A_part_whose_owner_is_gone_is_read_on_and_taken_over_by_the_next()
    {
        var options = Blocks.Options(_directory.Path, Blocks.Odd);
        var first = await OpenAsync(options);
        await using var second = await OpenAsync(options);
        await first.Store.PutAsync(0);
        await first.DisposeAsync();

        Assert.Equal(ReadOutcome.Hit, await ReadAsync(second, 0, Blocks.Odd));
        await using var third = await OpenAsync(options);
        Assert.Equal(ReadOutcome.Hit, await third.Store.GetAsync(0));
        await third.Store.PutAsync(5);
        await WaitUntilAsync(() => second.Neighbours.Contains(Blocks.Key(5))); // a new epoch, seen at the next look
        Assert.Equal(ReadOutcome.Hit, await ReadAsync(second, 5, Blocks.Odd));
    }

    [Fact]
    public async Task What_the_owner_overwrites_meanwhile_is_a_miss_and_never_wrong_bytes()
    {
        var options = Blocks.Options(_directory.Path, Blocks.Aligned, slots: 4);
        await using var owner = await OpenAsync(options);
        await using var reader = await OpenAsync(options);
        using var stop = new CancellationTokenSource();
        var written = 0;
        var writing = Task.Run(async () =>
        {
            for (; !stop.IsCancellationRequested; Interlocked.Increment(ref written))
            {
                var key = Blocks.Key(written % 12);
                await owner.Store.PutAsync(key, Blocks.Payload(key, Blocks.Aligned), replace: written % 3 == 0);
            }
        });

        var (hits, misses) = (0, 0);
        for (var i = 0; hits < 200 || misses < 20; i++)
        {
            if (writing.IsCompleted) await writing;
            using var source = reader.Neighbours.TryOpen(Blocks.Key(i % 12));
            if (source is null) continue;
            // Now and then the owner has written all of its slots before the object is read.
            var seen = Volatile.Read(ref written);
            while (i % 5 == 0 && Volatile.Read(ref written) < seen + 12 && !writing.IsCompleted) await Task.Delay(1);
            for (var layer = 0; layer < Blocks.Aligned.Layers; layer++)
            {
                var bytes = new byte[Blocks.Aligned.LayerBytes];
                if (!(await source.ReadAsync(layer, 1, bytes)).IsHit)
                {
                    misses++;
                    break;
                }

                var expected = Blocks.Payload(Blocks.Key(i % 12), Blocks.Aligned)
                    .AsSpan(layer * Blocks.Aligned.LayerBytes, Blocks.Aligned.LayerBytes);
                Assert.True(expected.SequenceEqual(bytes), "wrong bytes");
                hits++;
            }
        }

        await stop.CancelAsync();
        await writing;
        Assert.Empty(owner.Store.CheckIntegrity());
    }

    [Fact]
    public async Task Another_model_in_the_same_directory_is_not_seen_and_not_harmed()
    {
        var ours = Blocks.Options(_directory.Path, Blocks.Odd) with { Model = "a" };
        var theirs = ours with { Model = "b" };
        await using (var first = await OpenAsync(ours)) await first.Store.PutAsync(0);

        await using (var other = await OpenAsync(theirs))
        {
            Assert.Equal(ReadOutcome.Miss, await other.Store.GetAsync(0));
            Assert.Null(other.Neighbours.TryOpen(Blocks.Key(0)));
        }

        await using var again = await OpenAsync(ours);
        Assert.Equal(ReadOutcome.Hit, await again.Store.GetAsync(0));
    }

    [Fact]
    public async Task On_a_full_disk_folders_of_models_that_do_not_run_make_room_and_running_ones_stay()
    {
        var idle = Blocks.Options(_directory.Path, Blocks.Odd) with { Model = "idle" };
        var running = idle with { Model = "running" };
        await using (await OpenAsync(idle))
        {
        }

        await using var kept = await OpenAsync(running);
        await kept.Store.PutAsync(0);

        var tooMuch = idle with { Model = "new", CapacityBytes = 1L << 42, SegmentBytes = 1L << 42 };
        var error = await Assert.ThrowsAsync<KvStoreException>(() => OpenAsync(tooMuch));

        Assert.Equal(KvStoreError.DiskFull, error.Error);
        Assert.Single(Directory.GetDirectories(_directory.Path), path => Directory.GetFiles(path + "/00").Length > 2);
        Assert.Equal(ReadOutcome.Hit, await kept.Store.GetAsync(0));
    }

    [Fact]
    public void A_journal_entry_that_the_ring_has_overwritten_is_not_believed()
    {
        var path = Path.Combine(_directory.Path, "journal");
        using var owner = PartJournal.Create(path);
        using var reader = PartJournal.TryOpen(path)!;
        owner.AddStored(Blocks.Key(1), 7);
        owner.AddRemoved(Blocks.Key(2));
        Assert.True(reader.TryRead(0, out var key, out var slot));
        Assert.Equal((Blocks.Key(1), 7), (key, slot));
        Assert.True(reader.TryRead(1, out key, out slot));
        Assert.Equal(Blocks.Key(2), key);
        Assert.Null(slot);

        for (var i = 0; i < 1 << 16; i++) owner.AddStored(Blocks.Key(i), i);

        Assert.Equal((1UL << 16) + 2, reader.Head);
        Assert.False(reader.TryRead(0, out _, out _));
        Assert.True(reader.TryRead(reader.Head - 1, out key, out _));
        Assert.Equal(Blocks.Key((1 << 16) - 1), key);
        var epoch = reader.Epoch;
        using var next = PartJournal.Create(path);
        Assert.NotEqual(epoch, reader.Epoch);
    }

    private static async Task<Sight> OpenAsync(SsdStoreOptions options, IoPath path = IoPath.Auto)
    {
        var device = new BlockDeviceOptions { Path = path };
        var opened = await SharedDirectory.OpenAsync(options, device, TimeProvider.System);
        return new Sight(opened.Store, opened.Neighbours);
    }

    private static async Task<ReadOutcome> ReadAsync(Sight sight, int number, Krewe.Abstractions.KvGeometry geometry)
    {
        using var source = sight.Neighbours.TryOpen(Blocks.Key(number));
        if (source is null) return ReadOutcome.Miss;
        var bytes = new byte[geometry.BlockBytes];
        var half = geometry.LayerBytes;
        var result = await source.ReadAsync(0, 1, bytes.AsMemory(0, half));
        if (result.IsHit) result = await source.ReadAsync(1, geometry.Layers - 1, bytes.AsMemory(half));
        if (result.IsHit) Assert.Equal(Blocks.Payload(Blocks.Key(number), geometry), bytes);
        return result.Outcome;
    }

    private static async Task WaitUntilAsync(Func<bool> condition)
    {
        for (var i = 0; !condition(); i++)
        {
            Assert.True(i < 6000, "it did not happen within a minute");
            await Task.Delay(10);
        }
    }

    private sealed record Sight(SsdObjectStore Store, Neighbours Neighbours) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            await Neighbours.DisposeAsync();
            await Store.DisposeAsync();
        }
    }
}
