using System.Collections.Concurrent;
using Krewe.KvStore.Devices;
using Krewe.KvStore.Disk;
using Krewe.KvStore.Tests.Fakes;

namespace Krewe.KvStore.Tests.Disk;

/// <summary>Disks that fail, fill up, stall, tear and lie. Whatever they do, only right bytes are served.</summary>
public sealed class FaultTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly ConcurrentDictionary<string, byte[]> _files = new();
    private readonly ManualTime _time = new();
    private readonly SsdStoreOptions _options;
    private FaultyBlockDevice _device;

    public FaultTests()
    {
        _options = Blocks.Options(_directory.Path, Blocks.Odd, 4);
        _device = new FaultyBlockDevice(new MemoryDevice(_files));
    }

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task A_read_error_drops_the_object_and_serving_goes_on()
    {
        await using var store = await OpenAsync();
        await store.PutAsync(0);
        await store.PutAsync(1);
        var failing = true;
        _device.Before = io => failing && !io.IsWrite
            ? throw new BlockIoException(BlockIoFault.Hardware, "medium error")
            : ValueTask.CompletedTask;

        var result = await store.GetAsync(Blocks.Key(0), new byte[store.PayloadBytes]);
        failing = false;

        Assert.Equal(ReadOutcome.Failed, result.Outcome);
        Assert.Contains("medium error", result.Error!.Message, StringComparison.Ordinal);
        Assert.Equal(ReadOutcome.Miss, await store.GetAsync(0));
        Assert.Equal(ReadOutcome.Hit, await store.GetAsync(1));
        Assert.Equal(1, store.Statistics.ReadErrors);
        Assert.Empty(store.CheckIntegrity());
    }

    [Fact]
    public async Task A_full_disk_refuses_puts_in_words_and_reads_go_on()
    {
        await using var store = await OpenAsync();
        await store.PutAsync(0);
        var full = true;
        _device.Before = io => full && io.IsWrite
            ? throw new BlockIoException(BlockIoFault.DiskFull, "no space left")
            : ValueTask.CompletedTask;

        var result = await store.PutAsync(Blocks.Key(1), Blocks.Payload(Blocks.Key(1), Blocks.Odd));

        Assert.Equal(PutOutcome.Failed, result.Outcome);
        Assert.Equal(KvStoreError.DiskFull, result.Error!.Error);
        Assert.Equal(ReadOutcome.Hit, await store.GetAsync(0));
        full = false;
        await store.PutAsync(1);
        Assert.Equal(1, store.Statistics.DiskFullErrors);
        Assert.Empty(store.CheckIntegrity());
    }

    [Fact]
    public async Task A_slot_that_cannot_be_written_is_not_tried_again()
    {
        await using var store = await OpenAsync();
        var body = new SegmentLayout(_options).BodyOffset(0);
        _device.Before = io => io.IsWrite && io.Offset == body
            ? throw new BlockIoException(BlockIoFault.Hardware, "bad sector")
            : ValueTask.CompletedTask;

        var failed = await store.PutAsync(Blocks.Key(0), Blocks.Payload(Blocks.Key(0), Blocks.Odd));

        Assert.Equal(KvStoreError.WriteFailed, failed.Error!.Error);
        Assert.Contains("slot 0", failed.Error.Message, StringComparison.Ordinal);
        for (var i = 0; i < 8; i++) await store.PutAsync(i);
        Assert.Equal(1, store.Statistics.WriteErrors);
        Assert.Equal(3, store.Statistics.Objects);
        Assert.Empty(store.CheckIntegrity());
    }

    [Fact]
    public async Task On_a_slow_disk_reads_overtake_waiting_writes()
    {
        await using var store = await OpenAsync();
        await store.PutAsync(0);
        var order = new ConcurrentQueue<string>();
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _device.Before = async io =>
        {
            order.Enqueue(io.IsWrite ? "write" : "read");
            if (!io.IsWrite) await release.Task;
        };

        var firstRead = store.GetAsync(0);
        var put = store.PutAsync(1);
        var secondRead = store.GetAsync(0);
        Assert.Equal(1, store.Statistics.WritesWaiting);
        Assert.Equal(2, store.Statistics.ReadsInFlight);
        release.SetResult();
        await Task.WhenAll(firstRead, put, secondRead);

        Assert.Equal(["read", "read", "write", "write"], order);
    }

    [Fact]
    public async Task A_disk_that_answers_from_another_slot_is_caught()
    {
        await using var store = await OpenAsync();
        await store.PutAsync(0);
        await store.PutAsync(1);
        var layout = new SegmentLayout(_options);
        _device.Redirect = io => io.Offset == layout.BodyOffset(0) ? layout.BodyOffset(1) : io.Offset;

        Assert.Equal(ReadOutcome.Corrupt, await store.GetAsync(0));
        Assert.Equal(ReadOutcome.Hit, await store.GetAsync(1));
    }

    [Fact]
    public async Task A_disk_that_answers_with_an_older_state_of_the_slot_is_caught()
    {
        await using var store = await OpenAsync();
        for (var i = 0; i < 4; i++) await store.PutAsync(i);
        var stale = _files[_directory.Segment()].ToArray();
        await store.PutAsync(4); // evicts object 0 and takes its slot
        _device.AfterRead = (io, bytes) => stale.AsSpan((int)io.Offset, bytes.Length).CopyTo(bytes.Span);

        Assert.Equal(ReadOutcome.Corrupt, await store.GetAsync(4));
        Assert.Equal(ReadOutcome.Hit, await store.GetAsync(1));
    }

    [Fact]
    public async Task Headers_that_come_from_the_wrong_place_are_dropped_at_opening()
    {
        await using (var store = await OpenAsync())
        {
            await store.PutAsync(0);
            await store.PutAsync(1);
        }

        var file = _files[_directory.Segment()];
        file.AsSpan(4096, 4096).CopyTo(file.AsSpan(2 * 4096)); // header of slot 0 over that of slot 1
        await using var reopened = await OpenAsync();

        Assert.Equal(1, reopened.Statistics.TornHeaders);
        Assert.Equal(ReadOutcome.Hit, await reopened.GetAsync(0));
        Assert.Equal(ReadOutcome.Miss, await reopened.GetAsync(1));
    }

    [Fact]
    public async Task Of_two_copies_of_a_key_the_newer_wins_and_the_older_never_comes_back()
    {
        var put = Blocks.Payload(Blocks.Key(0), Blocks.Odd);
        await using (var store = await OpenAsync())
        {
            await store.PutAsync(0);
            _device.Persisted = io => io.Offset == 4096 ? 0 : io.Length; // the old header's clearing is lost
            await store.PutAsync(Blocks.Key(0), put, replace: true);
        }

        await using (var reopened = await OpenAsync())
        {
            Assert.Equal(1, reopened.Statistics.Superseded);
            Assert.Equal(1, reopened.Statistics.Objects);
            Assert.Equal(ReadOutcome.Hit, await reopened.GetAsync(0));
            await reopened.DeleteAsync(Blocks.Key(0));
        }

        await using var last = await OpenAsync();
        Assert.Equal(ReadOutcome.Miss, await last.GetAsync(0));
    }

    /// <summary>
    /// Every prefix of the write sequence, whole and torn in the middle, is a moment to lose power in.
    /// </summary>
    [Fact]
    public async Task Power_lost_after_any_write_leaves_a_store_that_serves_only_right_bytes()
    {
        var writes = await CountWritesAsync();
        for (var last = 0; last <= writes; last++)
        {
            foreach (var torn in new[] { 0, 512, 2048 })
            {
                _files.Clear();
                var seen = 0;
                await using (var dying = await OpenAsync())
                {
                    _device.Persisted = io => ++seen <= last ? io.Length : seen == last + 1 ? torn : 0;
                    await WorkAsync(dying);
                }

                await using var store = await OpenAsync();
                for (var i = 0; i < 8; i++) await store.GetAsync(i); // fails the test on wrong bytes
                await store.PutAsync(20);
                Assert.Equal(ReadOutcome.Hit, await store.GetAsync(20));
                Assert.Empty(store.CheckIntegrity());
            }
        }
    }

    /// <summary>Positive control of all these tests: were wrong bytes ever served, the check in GetAsync would tell.
    /// </summary>
    [Fact]
    public async Task The_check_for_wrong_bytes_finds_wrong_bytes()
    {
        await using var store = await OpenAsync();
        var others = Blocks.Payload(Blocks.Key(1), Blocks.Odd);
        Assert.Equal(PutOutcome.Stored, (await store.PutAsync(Blocks.Key(0), others)).Outcome);

        await Assert.ThrowsAnyAsync<Xunit.Sdk.XunitException>(() => store.GetAsync(0));
    }

    private async Task<int> CountWritesAsync()
    {
        var writes = 0;
        await using var store = await OpenAsync();
        _device.Persisted = io =>
        {
            writes++;
            return io.Length;
        };
        await WorkAsync(store);
        return writes;
    }

    /// <summary>Fills the store, overwrites by eviction, deletes and replaces.</summary>
    private static async Task WorkAsync(SsdObjectStore store)
    {
        for (var i = 0; i < 6; i++) await store.PutAsync(i);
        await store.DeleteAsync(Blocks.Key(3));
        await store.PutAsync(Blocks.Key(5), Blocks.Payload(Blocks.Key(5), Blocks.Odd), replace: true);
        await store.PutAsync(6);
    }

    /// <summary>Opens on a new device over the same files: what a restarted process sees.</summary>
    private async Task<SsdObjectStore> OpenAsync()
    {
        _device = new FaultyBlockDevice(new MemoryDevice(_files));
        return await SsdObjectStore.OpenAsync(_options, _device, _time);
    }
}
