using System.Collections.Concurrent;
using Krewe.KvStore.Disk;
using Krewe.KvStore.Tests.Fakes;

namespace Krewe.KvStore.Tests.Disk;

public sealed class LayerRestoreTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly FaultyBlockDevice _device = new(new MemoryDevice(new ConcurrentDictionary<string, byte[]>()));

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Layers_arrive_in_order_and_no_further_ahead_than_asked()
    {
        var geometry = Blocks.Aligned;
        var options = Blocks.Options(_directory.Path, geometry);
        await using var store = await SsdObjectStore.OpenAsync(options, _device, TimeProvider.System);
        for (var i = 0; i < 3; i++) await store.PutAsync(i);
        var layout = new SegmentLayout(options);
        var layersRead = new ConcurrentQueue<int>();
        _device.Before = io =>
        {
            layersRead.Enqueue((int)((io.Offset - layout.BodyOffset(0)) % layout.BodyBytes / geometry.LayerBytes));
            return ValueTask.CompletedTask;
        };
        var blocks = Enumerable.Range(0, 3).Select(_ => new byte[geometry.BlockBytes]).ToArray();

        await using (var restore = LayerRestore.Start(
            store, Enumerable.Range(0, 5).Select(Blocks.Key),
            (block, layer) => blocks[block].AsMemory(layer * geometry.LayerBytes, geometry.LayerBytes), layersAhead: 1))
        {
            Assert.Equal(3, restore.Blocks);
            Assert.Equal([0, 0, 0], layersRead);
            for (var layer = 0; layer < geometry.Layers; layer++)
            {
                Assert.True((await restore.WaitForLayerAsync(layer)).IsHit);
                Assert.Equal(Math.Min(layer + 2, geometry.Layers) * 3, layersRead.Count);
            }
        }

        Assert.Equal(layersRead.Order(), layersRead);
        for (var i = 0; i < 3; i++) Assert.Equal(Blocks.Payload(Blocks.Key(i), geometry), blocks[i]);
        Assert.Empty(store.CheckIntegrity());
    }

    [Fact]
    public async Task A_bad_layer_fails_its_wait_and_every_hold_ends()
    {
        var options = Blocks.Options(_directory.Path, Blocks.Aligned);
        await using var store = await SsdObjectStore.OpenAsync(options, _device, TimeProvider.System);
        await store.PutAsync(0);
        await store.PutAsync(1);
        var wrong = new SegmentLayout(options).BodyOffset(1) + 2 * Blocks.Aligned.LayerBytes;
        _device.AfterRead = (io, bytes) => bytes.Span[9] ^= io.Offset == wrong ? (byte)1 : (byte)0;

        await using (var restore = LayerRestore.Start(
            store, [Blocks.Key(0), Blocks.Key(1)], (_, _) => new byte[Blocks.Aligned.LayerBytes]))
        {
            Assert.True((await restore.WaitForLayerAsync(1)).IsHit);
            Assert.Equal(ReadOutcome.Corrupt, (await restore.WaitForLayerAsync(2)).Outcome);
        }

        Assert.Equal(1, store.Statistics.Objects);
        Assert.Empty(store.CheckIntegrity());
    }
}
