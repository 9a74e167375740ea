using Krewe.KvStore.Devices;
using Krewe.KvStore.Disk;
using Krewe.KvStore.Tests.Fakes;

namespace Krewe.KvStore.Tests.Disk;

/// <summary>Bits flipped in the files of a closed store, and under an open one.</summary>
public sealed class CorruptionTests : IDisposable
{
    private const int Objects = 8;

    private readonly TemporaryDirectory _directory = new();
    private readonly SsdStoreOptions _options;

    public CorruptionTests() => _options = Blocks.Options(_directory.Path, Blocks.Odd, Objects);

    public void Dispose() => _directory.Dispose();

    /// <summary>Offset in the header page of each field.</summary>
    [Theory]
    [InlineData(0)] // magic
    [InlineData(8)] // version
    [InlineData(12)] // checksum
    [InlineData(16)] // key
    [InlineData(32)] // fingerprint
    [InlineData(40)] // generation
    [InlineData(48)] // payload bytes
    [InlineData(56)] // segment
    [InlineData(60)] // slot
    [InlineData(64)] // layers
    [InlineData(68)] // recompute seconds
    [InlineData(128)] // first layer's checksum
    [InlineData(4095)] // the page's end
    public async Task A_flip_in_any_header_field_drops_that_object_alone(int offset)
    {
        await FillAsync();
        Flip(SegmentLayout.HeaderOffset(3) + offset);

        await using var store = await SsdObjectStore.OpenAsync(_options);

        Assert.Equal(1, store.Statistics.TornHeaders);
        Assert.Equal(Objects - 1, await CountHitsAsync(store));
        await store.PutAsync(3);
        Assert.Equal(Objects, await CountHitsAsync(store));
    }

    [Fact]
    public async Task A_flip_anywhere_in_a_body_is_never_served()
    {
        await FillAsync();
        var random = new Random(1);
        var layout = new SegmentLayout(_options);
        for (var index = 0; index < Objects; index += 2)
            Flip(layout.BodyOffset(index) + random.Next(layout.PayloadBytes));

        await using var store = await SsdObjectStore.OpenAsync(_options);

        Assert.Equal(Objects / 2, await CountHitsAsync(store));
        Assert.Equal(Objects / 2, store.Statistics.CorruptObjects);
        Assert.Equal(Objects / 2, store.Statistics.Objects);
        Assert.Empty(store.CheckIntegrity());
    }

    [Fact]
    public async Task A_corrupt_object_names_its_file_and_slot_and_is_gone_after_reopening_too()
    {
        await FillAsync();
        Flip(new SegmentLayout(_options).BodyOffset(0));
        await using (var store = await SsdObjectStore.OpenAsync(_options))
        {
            var result = await store.GetAsync(Blocks.Key(0), new byte[store.PayloadBytes]);
            Assert.Equal(ReadOutcome.Corrupt, result.Outcome);
            Assert.Equal(_directory.Segment(), result.Error!.Path);
            Assert.Equal(0, result.Error.Slot);
            Assert.Contains("recompute", result.Error.Message, StringComparison.Ordinal);
        }

        await using var reopened = await SsdObjectStore.OpenAsync(_options);
        Assert.Equal(ReadOutcome.Miss, await reopened.GetAsync(0));
    }

    [Fact]
    public async Task The_scrubber_finds_what_rots_while_the_store_is_open()
    {
        await FillAsync();
        await using var store = await SsdObjectStore.OpenAsync(_options);
        var layout = new SegmentLayout(_options);
        Flip(layout.BodyOffset(2) + 5);
        Flip(SegmentLayout.HeaderOffset(4) + 20);

        var time = new ManualTime();
        var pass = new Scrubber(store, 1 << 20, time).PassAsync(default).AsTask();
        while (!pass.IsCompleted)
        {
            await Task.WhenAny(pass, time.WaitForTimerAsync());
            time.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.Equal(Objects, await pass);
        Assert.Equal(2, store.Statistics.CorruptObjects);
        Assert.Equal(Objects - 2, await CountHitsAsync(store));
        Assert.Empty(store.CheckIntegrity());
    }

    [Fact]
    public async Task A_torn_segment_header_costs_that_segment_and_nothing_else()
    {
        await FillAsync();
        Flip(20);

        await using var store = await SsdObjectStore.OpenAsync(_options);

        Assert.Equal(1, store.Statistics.SegmentsDiscarded);
        Assert.Equal(0, await CountHitsAsync(store));
        await store.PutAsync(1);
    }

    [Fact]
    public async Task A_file_that_was_cut_short_loses_objects_but_serves_the_rest()
    {
        await FillAsync();
        var layout = new SegmentLayout(_options);
        using (var file = File.OpenWrite(_directory.Segment())) file.SetLength(layout.BodyOffset(5));

        await using var store = await SsdObjectStore.OpenAsync(_options);

        Assert.Equal(5, await CountHitsAsync(store));
    }

    [Fact]
    public async Task Cutting_the_file_under_an_open_store_fails_the_read_and_not_the_store()
    {
        foreach (var path in new[] { IoPath.Auto, IoPath.RandomAccess })
        {
            var options = _options with { OnMismatch = MismatchAction.Discard };
            await using var store =
                await SsdObjectStore.OpenAsync(options, new BlockDeviceOptions { Path = path });
            for (var i = 0; i < Objects; i++)
            {
                var key = Blocks.Key(i);
                await store.PutAsync(key, Blocks.Payload(key, Blocks.Odd), replace: true);
            }

            var segment = _directory.Segment();
            using (var file = new FileStream(segment, FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
                file.SetLength(new SegmentLayout(_options).BodyOffset(0));
            var result = await store.GetAsync(Blocks.Key(0), new byte[store.PayloadBytes]);
            Assert.Equal(ReadOutcome.Failed, result.Outcome);
            Assert.Equal(KvStoreError.ReadFailed, result.Error!.Error);
        }
    }

    private async Task FillAsync()
    {
        await using var store = await SsdObjectStore.OpenAsync(_options);
        for (var i = 0; i < Objects; i++) await store.PutAsync(i);
    }

    private static async Task<int> CountHitsAsync(SsdObjectStore store)
    {
        var hits = 0;
        for (var i = 0; i < Objects; i++) hits += await store.GetAsync(i) == ReadOutcome.Hit ? 1 : 0;
        return hits;
    }

    private void Flip(long offset)
    {
        using var file = new FileStream(
            _directory.Segment(), FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite, bufferSize: 0);
        file.Position = offset;
        var value = file.ReadByte();
        file.Position = offset;
        file.WriteByte((byte)(value ^ 0x10));
        file.Flush(flushToDisk: true);
    }
}
