using Krewe.KvStore.Disk;
using Krewe.KvStore.Tests.Fakes;
using Xunit.Abstractions;

namespace Krewe.KvStore.Tests.Disk;

public sealed class IndexRebuildTests(ITestOutputHelper output) : IDisposable
{
    private static bool IsLong => Environment.GetEnvironmentVariable("KREWE_LONG_TESTS") == "1";

    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task An_index_is_rebuilt_from_the_headers_alone()
    {
        const int objects = 50_000;
        var options = Blocks.Options(_directory.Path, Blocks.Odd, objects);
        var layout = new SegmentLayout(options);
        var device = new NullDevice((_, offset, buffer) => Answer(layout, offset, buffer));

        await using var store = await SsdObjectStore.OpenAsync(options, device, TimeProvider.System);

        Assert.Equal(objects, store.Statistics.Objects);
        Assert.True(store.Contains(Blocks.Key(0)) && store.Contains(Blocks.Key(objects - 1)));
        Assert.Equal(layout.BodyOffset(0) - 4096, store.Statistics.BytesRead);
        Assert.Empty(store.CheckIntegrity());
        AssertSeconds(store, quiet: TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task After_reopening_the_oldest_written_object_is_the_first_to_go()
    {
        var options = Blocks.Options(_directory.Path, Blocks.Odd, 3);
        await using (var store = await SsdObjectStore.OpenAsync(options))
        {
            foreach (var number in new[] { 2, 0, 1 }) await store.PutAsync(number);
        }

        await using var reopened = await SsdObjectStore.OpenAsync(options);
        await reopened.PutAsync(7);

        Assert.Equal(ReadOutcome.Miss, await reopened.GetAsync(2));
        Assert.Equal(ReadOutcome.Hit, await reopened.GetAsync(0));
    }

    /// <summary>Real files: twenty thousand objects, a million in the long run. Only the headers are written.</summary>
    [Fact]
    public async Task An_index_on_disk_is_rebuilt_in_seconds()
    {
        var options = Blocks.Options(_directory.Path, Blocks.Odd, IsLong ? 1_000_000 : 20_000);
        await (await SsdObjectStore.OpenAsync(options)).DisposeAsync();
        var layout = new SegmentLayout(options);
        for (var segment = 0; segment < layout.Segments; segment++) WriteHeaders(layout, segment);

        await using var store = await SsdObjectStore.OpenAsync(options);

        output.WriteLine($"{layout.Slots:N0} objects in {store.Statistics.OpenDuration.TotalSeconds:0.00} s");
        Assert.Equal(layout.Slots, store.Statistics.Objects);
        // The header pages of the objects, and no body.
        Assert.Equal(4096L * layout.Slots, store.Statistics.BytesRead);
        AssertSeconds(store, quiet: TimeSpan.FromSeconds(30));
    }

    /// <summary>Seconds on a machine that a long run has to itself; on one that others keep busy, no hang.</summary>
    private static void AssertSeconds(SsdObjectStore store, TimeSpan quiet) => Assert.True(
        store.Statistics.OpenDuration < (IsLong ? quiet : TimeSpan.FromMinutes(5)), $"{store.Statistics.OpenDuration}");

    private void WriteHeaders(SegmentLayout layout, int segment)
    {
        var path = Path.Combine(_directory.Path, SegmentSet.FileName(segment));
        using var file = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite, 1 << 20);
        file.Position = SegmentLayout.HeaderOffset(0);
        var (page, checksums) = (new byte[4096], new uint[layout.Layers]);
        for (var index = 0; index < layout.SlotsPerSegment; index++)
        {
            var slot = layout.SlotAt(segment, index);
            new ObjectHeader(
                Blocks.Key(slot), layout.Fingerprint, (ulong)slot + 1, (ulong)layout.PayloadBytes, (uint)segment,
                (uint)index, (uint)layout.Layers, 0).Write(page, checksums);
            file.Write(page);
        }

        file.Flush(flushToDisk: true);
    }

    private static void Answer(SegmentLayout layout, long offset, Memory<byte> buffer)
    {
        buffer.Span.Clear();
        var checksums = new uint[layout.Layers];
        for (var at = 0; at < buffer.Length; at += 4096)
        {
            var index = (int)((offset + at) / 4096) - 1;
            if (index < 0 || index >= layout.SlotsPerSegment) continue;
            new ObjectHeader(
                Blocks.Key(index), layout.Fingerprint, (ulong)index + 1, (ulong)layout.PayloadBytes, 0, (uint)index,
                (uint)layout.Layers, 0).Write(buffer.Span.Slice(at, 4096), checksums);
        }
    }
}
