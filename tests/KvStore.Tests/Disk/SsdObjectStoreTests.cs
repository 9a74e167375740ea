using Krewe.KvStore.Devices;
using Krewe.KvStore.Disk;
using Krewe.KvStore.Memory;
using Krewe.KvStore.Tests.Fakes;

namespace Krewe.KvStore.Tests.Disk;

/// <summary>What the store promises, on real files, over both I/O paths.</summary>
public sealed class SsdObjectStoreTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Theory]
    [IoUringData]
    [InlineData(IoPath.RandomAccess)]
    public async Task What_is_put_is_got_and_is_there_after_reopening(IoPath path)
    {
        foreach (var geometry in new[] { Blocks.Aligned, Blocks.Odd })
        {
            var options = Blocks.Options(Path.Combine(_directory.Path, $"{geometry.Layers}"), geometry);
            await using (var store = await OpenAsync(options, path))
            {
                for (var i = 0; i < 10; i++) await store.PutAsync(i);
                for (var i = 0; i < 10; i++) Assert.Equal(ReadOutcome.Hit, await store.GetAsync(i));
                Assert.Equal(ReadOutcome.Miss, await store.GetAsync(99));
                Assert.Empty(store.CheckIntegrity());
            }

            await using (var store = await OpenAsync(options, path))
            {
                Assert.Equal(10, store.Statistics.Objects);
                for (var i = 0; i < 10; i++) Assert.Equal(ReadOutcome.Hit, await store.GetAsync(i));
                Assert.Empty(store.CheckIntegrity());
            }
        }
    }

    [Theory]
    [IoUringData]
    [InlineData(IoPath.RandomAccess)]
    public async Task Native_memory_and_arrays_get_the_same_bytes_whole_and_layer_by_layer(IoPath path)
    {
        foreach (var geometry in new[] { Blocks.Aligned, Blocks.Odd })
        {
            var options = Blocks.Options(Path.Combine(_directory.Path, $"{geometry.Layers}"), geometry);
            await using var store = await OpenAsync(options, path);
            using var native = new NativeBuffer(8 * 4096);
            var payload = Blocks.Payload(Blocks.Key(1), geometry);
            var memory = native.Memory[..payload.Length];
            payload.CopyTo(memory);
            Assert.Equal(PutOutcome.Stored, (await store.PutAsync(Blocks.Key(1), memory)).Outcome);

            memory.Span.Clear();
            Assert.True((await store.GetAsync(Blocks.Key(1), memory)).IsHit);
            Assert.Equal(payload, memory.ToArray());
            Assert.Equal(ReadOutcome.Hit, await store.GetAsync(1));

            using var reader = store.TryOpenObject(Blocks.Key(1))!;
            for (var layer = geometry.Layers - 1; layer >= 0; layer--)
            {
                var bytes = new byte[geometry.LayerBytes];
                Assert.True((await reader.ReadLayerAsync(layer, bytes)).IsHit);
                Assert.Equal(payload[(layer * bytes.Length)..][..bytes.Length], bytes);
            }
        }
    }

    [Theory]
    [IoUringData]
    [InlineData(IoPath.RandomAccess)]
    public async Task Many_puts_gets_and_deletes_at_once_serve_only_right_bytes(IoPath path)
    {
        await using var store = await OpenAsync(Blocks.Options(_directory.Path, Blocks.Odd, slots: 24), path);
        await Parallel.ForEachAsync(Enumerable.Range(0, 16), async (worker, token) =>
        {
            var random = new Random(worker);
            for (var i = 0; i < 60; i++)
            {
                var number = random.Next(40);
                var key = Blocks.Key(number);
                if (await store.GetAsync(number) == ReadOutcome.Hit && random.Next(4) > 0) continue;
                if (random.Next(10) == 0) await store.DeleteAsync(key);
                var replace = random.Next(5) == 0;
                var put = await store.PutAsync(key, Blocks.Payload(key, Blocks.Odd), 0, replace, token);
                Assert.NotEqual(PutOutcome.Failed, put.Outcome);
            }
        });

        Assert.Equal(0, store.Statistics.CorruptObjects);
        Assert.Empty(store.CheckIntegrity());
    }

    [Fact]
    public async Task Beyond_the_capacity_the_longest_unused_object_goes()
    {
        await using var store = await OpenAsync(Blocks.Options(_directory.Path, Blocks.Odd, slots: 4));
        for (var i = 0; i < 4; i++) await store.PutAsync(i);
        Assert.Equal(ReadOutcome.Hit, await store.GetAsync(0));

        await store.PutAsync(4);

        Assert.Equal(ReadOutcome.Miss, await store.GetAsync(1));
        Assert.Equal(ReadOutcome.Hit, await store.GetAsync(0));
        Assert.Equal(1, store.Statistics.Evictions);
        Assert.Equal(4, store.Statistics.Objects);
    }

    [Fact]
    public async Task A_held_object_is_not_evicted_and_a_deleted_one_can_be_read_to_its_end()
    {
        await using var store = await OpenAsync(Blocks.Options(_directory.Path, Blocks.Odd, slots: 1));
        await store.PutAsync(0);
        var bytes = new byte[Blocks.Odd.LayerBytes];
        using (var reader = store.TryOpenObject(Blocks.Key(0))!)
        {
            var refused = await store.PutAsync(Blocks.Key(1), Blocks.Payload(Blocks.Key(1), Blocks.Odd));
            Assert.Equal(PutOutcome.NoRoom, refused.Outcome);
            Assert.True(await store.DeleteAsync(Blocks.Key(0)));
            Assert.True((await reader.ReadLayerAsync(2, bytes)).IsHit);
        }

        Assert.Equal(Blocks.Payload(Blocks.Key(0), Blocks.Odd)[(2 * bytes.Length)..], bytes);
        await store.PutAsync(1);
        Assert.Empty(store.CheckIntegrity());
    }

    [Fact]
    public async Task A_deleted_object_does_not_come_back_by_reopening()
    {
        var options = Blocks.Options(_directory.Path, Blocks.Odd);
        await using (var store = await OpenAsync(options))
        {
            await store.PutAsync(0);
            Assert.True(await store.DeleteAsync(Blocks.Key(0)));
            Assert.False(await store.DeleteAsync(Blocks.Key(0)));
        }

        await using var reopened = await OpenAsync(options);
        Assert.Equal(ReadOutcome.Miss, await reopened.GetAsync(0));
    }

    [Fact]
    public async Task A_clean_copy_is_not_written_twice_unless_a_newer_one_is_wanted()
    {
        await using var store = await OpenAsync(Blocks.Options(_directory.Path, Blocks.Odd));
        await store.PutAsync(0);
        var written = store.Statistics.BytesWritten;
        var payload = Blocks.Payload(Blocks.Key(0), Blocks.Odd);

        Assert.Equal(PutOutcome.AlreadyPresent, (await store.PutAsync(Blocks.Key(0), payload)).Outcome);
        Assert.Equal(written, store.Statistics.BytesWritten);

        Assert.Equal(PutOutcome.Stored, (await store.PutAsync(Blocks.Key(0), payload, replace: true)).Outcome);
        Assert.Equal(1, store.Statistics.Objects);
        Assert.Equal(ReadOutcome.Hit, await store.GetAsync(0));
    }

    [Fact]
    public async Task Objects_are_striped_over_all_directories()
    {
        string[] directories = [Path.Combine(_directory.Path, "a"), Path.Combine(_directory.Path, "b")];
        var options = Blocks.Options(directories[0], Blocks.Odd) with { Directories = directories };
        await using (var store = await OpenAsync(options))
        {
            for (var i = 0; i < 6; i++) await store.PutAsync(i);
        }

        File.Delete(Path.Combine(directories[1], "segment-000001.kv"));
        await using var half = await OpenAsync(options);
        Assert.Equal(3, half.Statistics.Objects);
    }

    [Fact]
    public async Task Wrong_lengths_and_impossible_settings_are_refused_in_words()
    {
        var options = Blocks.Options(_directory.Path, Blocks.Odd);
        await using (var store = await OpenAsync(options))
        {
            await Assert.ThrowsAsync<ArgumentException>(() => store.PutAsync(Blocks.Key(0), new byte[5]).AsTask());
            await Assert.ThrowsAsync<ArgumentException>(() => store.GetAsync(Blocks.Key(0), new byte[5]).AsTask());
        }

        var bad = options with { CapacityBytes = 10, StagingBuffers = 0 };
        var error = await Assert.ThrowsAsync<KvStoreException>(() => OpenAsync(bad).AsTask());
        Assert.Equal(KvStoreError.InvalidOptions, error.Error);
        Assert.Contains("CapacityBytes", error.Message, StringComparison.Ordinal);
        Assert.Contains("StagingBuffers", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_second_store_on_the_same_directory_is_refused()
    {
        var options = Blocks.Options(_directory.Path, Blocks.Odd);
        await using var store = await OpenAsync(options);

        var error = await Assert.ThrowsAsync<KvStoreException>(() => OpenAsync(options).AsTask());

        Assert.Equal(KvStoreError.DirectoryInUse, error.Error);
    }

    [Fact]
    public async Task Segments_of_another_geometry_are_refused_or_discarded_as_asked()
    {
        await using (var store = await OpenAsync(Blocks.Options(_directory.Path, Blocks.Odd))) await store.PutAsync(0);
        var other = Blocks.Options(_directory.Path, Blocks.Aligned);

        var error = await Assert.ThrowsAsync<KvStoreException>(() => OpenAsync(other).AsTask());
        Assert.Equal(KvStoreError.SegmentMismatch, error.Error);
        Assert.Contains(_directory.Segment(), error.Message, StringComparison.Ordinal);
        Assert.Contains("3 layers", error.Message, StringComparison.Ordinal);

        await using var anew = await OpenAsync(other with { OnMismatch = MismatchAction.Discard });
        Assert.Equal(0, anew.Statistics.Objects);
        Assert.Equal(1, anew.Statistics.SegmentsDiscarded);
        await anew.PutAsync(0);
    }

    [Fact]
    public async Task Objects_of_other_numerics_are_never_served()
    {
        var options = Blocks.Options(_directory.Path, Blocks.Odd);
        await using (var store = await OpenAsync(options)) await store.PutAsync(0);

        var other = options with { Numerics = Blocks.Numerics with { KernelVersion = 2 } };
        await Assert.ThrowsAsync<KvStoreException>(() => OpenAsync(other).AsTask());
    }

    [Fact]
    public async Task More_capacity_than_the_disk_has_is_an_error_that_says_so()
    {
        var options = Blocks.Options(_directory.Path, Blocks.Aligned) with
        {
            CapacityBytes = 1L << 44,
            SegmentBytes = 1L << 43,
        };
        var error = await Assert.ThrowsAsync<KvStoreException>(() => OpenAsync(options).AsTask());

        Assert.Equal(KvStoreError.DiskFull, error.Error);
        Assert.Contains("Lower CapacityBytes", error.Message, StringComparison.Ordinal);
    }

    /// <summary>Each segment alone would fit: the first ones must not fill the disk that others write to.</summary>
    [Fact]
    public async Task A_store_that_is_too_large_reserves_nothing()
    {
        var options = Blocks.Options(_directory.Path, Blocks.Aligned) with
        {
            CapacityBytes = 1L << 44,
            SegmentBytes = 1L << 30,
        };
        var error = await Assert.ThrowsAsync<KvStoreException>(() => OpenAsync(options).AsTask());

        Assert.Equal(KvStoreError.DiskFull, error.Error);
        Assert.Matches("takes 17,[0-9,]+ bytes more and [0-9,]+ are free", error.Message);
        Assert.Empty(Directory.GetFiles(_directory.Path, "segment-*"));
    }

    [Fact]
    public async Task A_device_that_is_full_in_the_middle_gets_back_what_was_reserved()
    {
        var one = Blocks.Options(_directory.Path, Blocks.Aligned);
        var options = one with { SegmentBytes = one.CapacityBytes, CapacityBytes = 4 * one.CapacityBytes };
        var device = new FaultyBlockDevice(await BlockDevice.OpenAsync(new BlockDeviceOptions(), [_directory.Path]));
        var made = 0;
        device.Before = io => io.IsWrite && ++made == 3
            ? throw new BlockIoException(BlockIoFault.DiskFull, "no space left")
            : ValueTask.CompletedTask;

        var error = await Assert.ThrowsAsync<KvStoreException>(
            () => SsdObjectStore.OpenAsync(options, device, TimeProvider.System).AsTask());

        Assert.Equal(KvStoreError.DiskFull, error.Error);
        Assert.Contains("(2 of 4 are)", error.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(_directory.Path, "segment-*"));
    }

    [Fact]
    public async Task A_name_that_is_no_directory_is_not_taken_for_another_workers()
    {
        var file = Path.Combine(_directory.Path, "file");
        await File.WriteAllTextAsync(file, "");
        var error = await Assert.ThrowsAsync<KvStoreException>(
            () => OpenAsync(Blocks.Options(file, Blocks.Odd)).AsTask());

        Assert.Equal(KvStoreError.InvalidOptions, error.Error);
        Assert.Contains(file, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_closed_store_refuses_and_closing_twice_is_nothing()
    {
        var store = await OpenAsync(Blocks.Options(_directory.Path, Blocks.Odd));
        await store.DisposeAsync();
        await store.DisposeAsync();

        await Assert.ThrowsAsync<ObjectDisposedException>(() => store.GetAsync(0));
    }

    private static ValueTask<SsdObjectStore> OpenAsync(SsdStoreOptions options, IoPath path = IoPath.Auto) =>
        SsdObjectStore.OpenAsync(options, new BlockDeviceOptions { Path = path, QueueDepth = 8 });
}
