using Krewe.KvStore.Disk;
using Krewe.KvStore.Tests.Fakes;

namespace Krewe.KvStore.Tests.Disk;

public sealed class IndexRebuildTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    /// <summary>Fifty thousand objects; a million in the long run.</summary>
    [Fact]
    public async Task An_index_is_rebuilt_from_the_headers_alone()
    {
        var isLong = Environment.GetEnvironmentVariable("KREWE_LONG_TESTS") == "1";
        var objects = isLong ? 1_000_000 : 50_000;
        var options = Blocks.Options(_directory.Path, Blocks.Odd, objects);
        var layout = new SegmentLayout(options);
        var device = new NullDevice((_, offset, buffer) => Answer(layout, offset, buffer));

        await using var store = await SsdObjectStore.OpenAsync(options, device, TimeProvider.System);

        Assert.Equal(objects, store.Statistics.Objects);
        Assert.True(store.Contains(Blocks.Key(0)) && store.Contains(Blocks.Key(objects - 1)));
        Assert.Equal(layout.BodyOffset(0) - 4096, store.Statistics.BytesRead);
        Assert.Empty(store.CheckIntegrity());
        Assert.True(store.Statistics.OpenDuration < TimeSpan.FromSeconds(10), $"{store.Statistics.OpenDuration}");
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
